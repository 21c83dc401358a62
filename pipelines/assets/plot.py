"""What the last runs of an asset did, as a small picture in Markdown: events as bars, rows as a line."""

from __future__ import annotations

import base64
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Final, NamedTuple

_WIDTH: Final = 560
_HEIGHT: Final = 120
_TOP: Final = 22
_STEP: Final = 14
MOST_RUNS: Final = _WIDTH // _STEP
_BARS: Final = "#7c6cf0"
_LINE: Final = "#e08a1e"
_WORDS: Final = "#8a8a8a"
"""Seen on light and on dark."""


class Run(NamedTuple):
    """One materialization: when it ended (seconds since 1970), events it applied, rows there were after it."""

    ended_s: float
    events: int
    rows: int

    @classmethod
    def now(cls, events: int, rows: int) -> Run:
        return cls(time.time(), events, rows)


def plot(runs: Sequence[Run]) -> str:
    """Oldest first; the last MOST_RUNS of them. Dagster's UI lets images through whose source is data, and nothing that is not an image."""
    shown = list(runs)[-MOST_RUNS:]
    most_events, most_rows = max((run.events for run in shown), default=0), max((run.rows for run in shown), default=0)
    words, dots = f"events of each run, at most {most_events:,}", " ".join(_dot(index, run, most_rows) for index, run in enumerate(shown))
    svg = (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {_HEIGHT}" width="{_WIDTH}" height="{_HEIGHT}" '
        f'font-family="sans-serif" font-size="11">'
        f'<text x="0" y="11" fill="{_BARS}">{words}</text>'
        f'<text x="{_WIDTH}" y="11" fill="{_LINE}" text-anchor="end">rows after it, at most {most_rows:,}</text>'
        f"{''.join(_bar(index, run, most_events) for index, run in enumerate(shown))}"
        f'<polyline fill="none" stroke="{_LINE}" stroke-width="2" points="{dots}"/>'
        f"{_times(shown)}</svg>"
    )
    return f"![{words}](data:image/svg+xml;base64,{base64.b64encode(svg.encode()).decode()})"


def _bar(index: int, run: Run, most: int) -> str:
    y = _y(run.events, most)
    return f'<rect x="{index * _STEP + 2}" y="{y}" width="{_STEP - 4}" height="{_floor() - y}" fill="{_BARS}"/>'


def _dot(index: int, run: Run, most: int) -> str:
    return f"{index * _STEP + _STEP // 2},{_y(run.rows, most)}"


def _y(value: int, most: int) -> int:
    return _floor() - round(value / max(1, most) * (_floor() - _TOP))


def _floor() -> int:
    return _HEIGHT - 18


def _times(runs: Sequence[Run]) -> str:
    if not runs:
        return ""
    first, last = (f"{datetime.fromtimestamp(run.ended_s, UTC):%Y-%m-%d %H:%M}" for run in (runs[0], runs[-1]))
    end = f'<text x="{_WIDTH}" y="{_HEIGHT - 4}" fill="{_WORDS}" text-anchor="end">{last} UTC</text>'
    return f'<text x="0" y="{_HEIGHT - 4}" fill="{_WORDS}">{first}</text>{end if len(runs) > 1 else ""}'

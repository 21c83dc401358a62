"""One run of the bench: its sizes, its folders, its tables, and the big log that several sections share."""

from __future__ import annotations

import os
import statistics
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.bench.big_log import BigLog, build

Measure = Callable[[Path], float]


def _size(default: float | str, told: str) -> Any:
    return field(default=default, metadata={"told": told})


@dataclass(frozen=True, slots=True)
class Sizes:
    """What can be set, each with a size that gives numbers worth telling."""

    seconds: float = _size(2.0, "of each rate")
    repeats: int = _size(3, "of which the median is told")
    events: int = _size(10_000_000, "in the big log")
    small_events: int = _size(1_000_000, "in the bulk append and the log of the report")
    streams: int = _size(1_000_000, "that are there before new ones are appended")
    commits: int = _size(10_000, "after which the cost of a commit is told")
    landing: int = _size(200, "one-event commits that lie unmerged on the big log when it is read again")
    cold: int = _size(100_000, "cold streams in one table")
    touches: int = _size(100_000, "appends to random streams of the big log")
    writers: int = _size(8, "processes at most")
    names: str = _size("ordered", "of the big log's streams: 'ordered' as they come, or 'random' as UUIDs are")
    minutes: float = _size(10.0, "of the sustained load")
    rate: int = _size(10_000, "events a second of the sustained load")
    clients: int = _size(64, "asyncio tasks that offer it")
    processes: int = _size(1, "that share them")
    files: int = _size(10_000, "live files of a log without events")
    heads: int = _size(8_000_000, "streams in a heads file")
    sample_s: float = _size(15.0, "between two looks at the sustained load")


class Run:
    """Hands out what sections need, and prints what they found."""

    def __init__(self, root: Path, sizes: Sizes) -> None:
        self.sizes = sizes
        self._root, self._used = root, 0
        self._big_log: BigLog | None = None

    def folder(self) -> Path:
        """A fresh one: nothing is removed before the end, for ext4 makes new files slowly for minutes after many were deleted."""
        self._used += 1
        folder = self._root / str(self._used)
        folder.mkdir()
        return folder

    def big_log(self) -> BigLog:
        """Built by the first section that asks."""
        if self._big_log is None:
            self._big_log = build(self.folder(), self.sizes.events, self.sizes.names)
        return self._big_log

    def medians(self, *measures: Measure | None) -> list[float]:
        """Each measure `repeats` times, in turns, so that all see the same machine; 0 for None."""
        rounds = [[measure(self.folder()) if measure else 0.0 for measure in measures] for _ in range(self.sizes.repeats)]
        return [statistics.median(column) for column in zip(*rounds, strict=True)]

    def median(self, work: Callable[[], object]) -> float:
        """Seconds that it takes."""
        return statistics.median(seconds(work) for _ in range(self.sizes.repeats))

    def section(self, name: str, measure: Callable[[Run], None]) -> None:
        """Runs one section, and says how long it took and how busy the machine was."""
        print(f"\n## {name}", flush=True)
        began, before = time.perf_counter(), os.getloadavg()[0]
        measure(self)
        print(f"\n*{name}: {time.perf_counter() - began:.0f} s; load average {before:.1f} before, {os.getloadavg()[0]:.1f} after*", flush=True)

    def table(self, *columns: str) -> None:
        """Begins a table; the first column is text, the others numbers."""
        print(f"\n| {' | '.join(columns)} |\n|---|{'---:|' * (len(columns) - 1)}", flush=True)

    def row(self, *cells: str) -> None:
        print(f"| {' | '.join(cells)} |", flush=True)

    def rows(self, rows: Iterable[Sequence[str]]) -> None:
        for cells in rows:
            self.row(*cells)


def seconds(work: Callable[[], object]) -> float:
    """What one run of it takes."""
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


def beside(value: float, floor: float) -> tuple[str, str]:
    """A floor and how much of it was reached; dashes without one."""
    return (f"{floor:,.0f}", f"{value / floor:.2f}") if floor else ("–", "–")


def ms(seconds: float) -> str:
    """Milliseconds with the digits that matter."""
    value = seconds * 1e3
    return f"{value:,.2f}" if value < 100 else f"{value:,.0f}"


def percentile(values: Sequence[float], share: float) -> float:
    """The value below which that share of them lies; 0 of none."""
    return sorted(values)[min(len(values) - 1, int(len(values) * share))] if values else 0.0

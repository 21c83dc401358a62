"""The tables of docs/scale.md."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import cache
from typing import Final

from tests.scale.costs import (
    UNITS,
    WRITERS,
    logs_needed,
    of,
    requests,
    row_groups,
    upkeep_load,
)
from tests.scale.load import Load
from tests.scale.simulation import SimulatedLog, simulated

SIZES: Final = (10_000_000, 100_000_000, 1_000_000_000, 10_000_000_000)
RATE: Final = 200_000
DAY_S: Final = 86_400

_simulated = cache(simulated)
Told = Callable[[SimulatedLog], str]

GROWING: Final[dict[str, Told]] = {
    "stored, GB": lambda log: _number(log.live_bytes() / 1e9),
    "live files": lambda log: f"{log.live_files():,}",
    "replaced files, not yet removed": lambda log: f"{len(log.retired()):,}",
    "log files": lambda log: f"{len(log.log_files):,}",
    "streams": lambda log: f"{sum(log.head_runs):,}",
    "heads files": lambda log: f"{len(log.head_runs):,}",
    "heads, GB": lambda log: _number(sum(log.head_runs) * of("heads file") / 1e9),
    "memory to join the largest heads file, GB": lambda log: _number(log.head_runs[0] * of("heads memory") / 1e9),
    "a process reads the heads, s of CPU": lambda log: _number(sum(log.head_runs) * of("heads read") / 1e9),
    "a log is opened, s of CPU": lambda log: _number((log.live_files() + len(log.retired())) * of("open") / 1e6),
    "a stream's files are chosen, ms of CPU": lambda log: _number(log.live_files() * of("stream") / 1e3),
    "a stream with events everywhere is read cold, s of CPU": lambda log: _number(max(1, log.live_files() / 16) * of("footer") / 1e3),
    "SQL about one stream, s of CPU": lambda log: _number(log.live_files() * of("sql") / 1e6),
    "SQL about everything: memory for footers, GB": lambda log: _number(row_groups(log.head) * of("sql memory") / 1e6),
    "a replay, hours of CPU": lambda log: _number(log.head * of("replay") / 1e6 / 3600),
}
LOADS: Final = {
    "200,000/s, 20,000 a commit": Load(events=10**9, events_per_s=200_000, events_per_commit=20_000),
    "25,000/s, 2,500 a commit": Load(events=10**9, events_per_s=25_000, events_per_commit=2_500),
    "12,500/s, 1,000 a commit": Load(events=10**9, events_per_s=12_500, events_per_commit=1_000),
}


def tables() -> dict[str, str]:
    """By the name that stands before each in the page."""
    return {
        "units": _table(("what", "unit cost", "`make bench BENCH=`"), ((u.what, f"{u.value:,g} {u.unit}", u.section) for u in UNITS.values())),
        "sizes": _table(("one log at 200,000 events/s", *(f"{size // 10**6:,} million" for size in SIZES)), _sizes()),
        "loads": _table(_LOADED, (_loaded(what, load) for what, load in LOADS.items())),
        "logs": _table(("logs for 200,000 events/s", *(f"{group:,} a commit" for group in _GROUPS)), _logs()),
    }


def _sizes() -> Iterator[Sequence[str]]:
    logs = [_simulated(Load(events=size, events_per_s=RATE, events_per_commit=20_000)) for size in SIZES]
    return ((what, *(told(log) for log in logs)) for what, told in GROWING.items())


_LOADED: Final = (
    "a log of 1,000 million events", "commits/s", "written events/event", "written bytes/event",
    "merging, cores", "checkpoints, cores", "heads, cores", "looking, cores", "requests/s on S3", "$ a day on S3", "$ a million events",
)  # fmt: skip


def _loaded(what: str, load: Load) -> Sequence[str]:
    log = _simulated(load)
    asked, spent = requests(log), upkeep_load(log)
    written = log.totals["appended bytes"] + log.totals["merged bytes"] + log.totals["heads written"] * of("heads file")
    return (
        what, _number(load.commits_per_s), _number(1 + log.totals["merged rows"] / log.head), _number(written / log.head), *map(_number, spent),
        _number(sum(asked) / log.now_s), _number(asked.dollars / log.now_s * DAY_S), _number(asked.dollars / log.head * 1e6),
    )  # fmt: skip


_GROUPS: Final = (64, 1_000, 2_500, 20_000)


def _logs() -> Iterator[Sequence[str]]:
    cores = upkeep_load(_simulated(LOADS["200,000/s, 20,000 a commit"])).cores
    for writer in WRITERS:
        for latency in (1, 5, 50):
            needed = (str(logs_needed(RATE, latency, group, writer, cores)) for group in _GROUPS)
            yield f"{writer.what}; {latency} ms a request", *needed


def _table(columns: Sequence[str], rows: Iterator[Sequence[str]]) -> str:
    lines = [columns, ["---", *["---:"] * (len(columns) - 1)], *rows]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in lines)


def _number(value: float) -> str:
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"

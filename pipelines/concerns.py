"""What an operator should see to, out of what a warehouse holds."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from pipelines.bounds import Bounds
from pipelines.levels import Levels
from projections import Status

MANY_FILES: Final = 2_000
"""Live files of the log beyond which upkeep cannot be keeping pace."""
_AHEAD: Final = timedelta(seconds=5)


@dataclass(frozen=True, slots=True)
class Concern:
    """`about`: a projection, or the log."""

    about: str
    problem: str
    remedy: str


def concerns(seen: Levels, bounds: Bounds, now: datetime) -> list[Concern]:
    """Worst first: what stands still, what is late, what waits for somebody."""
    found = [concern for one in seen.projections for concern in _of_projection(one, bounds)]
    return sorted(found, key=lambda one: one.problem.startswith(("late", "parked"))) + list(_of_log(seen, now))


def _of_projection(one: Status, bounds: Bounds) -> Iterator[Concern]:
    name, waited = one.projection, timedelta(seconds=one.lag_s)
    match one.state:
        case "halted":
            yield Concern(name, f"halted: {one.why}", f"mend it and run it again, or `alluvium projections run {name} --park`")
        case "needs rebuild":
            yield Concern(name, f"needs rebuild: {one.why}", f"`alluvium projections rebuild {name}`")
        case "paused":
            yield Concern(name, f"paused: {one.why}", f"`alluvium projections resume {name}`, when it is time")
        case _ if one.serving is not None and waited > bounds.late:
            waits = f"{one.lag:,} events wait, the first one for {timedelta(seconds=int(one.lag_s))}"
            yield Concern(name, f"late: {waits}", f"does anything run it? `alluvium projections run {name}`, or follow")
    if one.parked:
        yield Concern(name, f"parked: {one.parked:,} dead letters", f"`alluvium dead-letters list --projection {name}`")


def _of_log(seen: Levels, now: datetime) -> Iterator[Concern]:
    for table in seen.tables:
        if table.table == "events" and table.files > MANY_FILES:
            yield Concern("events", f"{table.files:,} live files", "does the upkeep of a writer run? `alluvium maintain` merges them now")
    if seen.recorded_at is not None and seen.recorded_at - now > _AHEAD:
        ahead = seen.recorded_at - now
        yield Concern("events", f"the last event was recorded {ahead} from now", "set the clocks: run NTP on every machine that writes")

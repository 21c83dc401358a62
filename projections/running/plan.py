"""What a rebuild would be: how much it would read, and about how long that takes. Nothing is written."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Final

from projections.models.builds import Build, Builds
from projections.models.memory_model import MemoryModel
from projections.models.read_model import ReadModel
from projections.projection import Projection
from projections.running.at_once import at_once, chosen_by
from projections.running.runner import catch_up
from store import EventStore

SAMPLE: Final = 200_000
"""So many positions are folded aside, at most, to see how quick it is."""
_WARM_UP: Final = 1_000


@dataclass(frozen=True, slots=True)
class Plan:
    """`unfinished`: a build that was begun and would be gone on with, past `after`; None: a new one would be made.

    `events`: those that it reads, of all events past `after`, which lie in files of `data_bytes`. `seconds`: an estimate, made by folding the
    first `sampled` positions in memory.
    """

    projection: str
    unfinished: Build | None
    after: int
    until: int
    events: int
    data_bytes: int
    sampled: int
    seconds: float


def plan_rebuild(store: EventStore, warehouse: str, projection: Projection) -> Plan:
    """The rebuild of a projection as it would be now. ApplyError: it would fail, and already among the events of the sample."""
    builds, size = Builds(warehouse), store.size()
    unfinished = builds.unfinished(projection)
    after = 0 if unfinished is None else ReadModel(builds.uri(projection.name, unfinished.build), projection).checkpoint()
    until = size.events
    query = f"select count(*) from events where position > {after} and {chosen_by(projection)}"
    ((events,),) = store.sql(query, as_of=until).fetchall()
    sampled = min(until, SAMPLE)
    _fold(store, projection, min(sampled, _WARM_UP))
    began_s = time.perf_counter()
    _fold(store, projection, sampled)
    seconds = (time.perf_counter() - began_s) * (until - after) / max(sampled, 1)
    return Plan(projection.name, unfinished, after, until, events, size.data_bytes, sampled, seconds)


def _fold(store: EventStore, projection: Projection, until: int) -> None:
    """As `fill` would."""
    if at_once(store, projection, until) is None:
        catch_up(store, MemoryModel(projection), 400_000, until=until)

"""How often to take snapshots, from what loads take and how long the streams are."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import linear_regression

from store.deciding.aggregate import Aggregate
from store.errors import InvalidEventError
from store.event_store import EventStore
from store.observer import Reconstructed

FEWEST_LOADS = 10

_LONGEST = "select coalesce(max(version), 0) from events where stream_id >= $category || '-' and stream_id < $category || '.'"


@dataclass(frozen=True, slots=True)
class Interval:
    """`every_events`: for `SnapshotPolicy`; None: no snapshots are needed, since folding even the longest stream takes less than the target.

    `base_ms`, `event_us`: a load takes about so long, and so long more for each event. `longest`: events of the longest stream: short ones
    get no snapshots, so that they need not be asked.
    """

    every_events: int | None
    base_ms: float
    event_us: float
    longest: int

    def load_ms(self, events: int) -> float:
        """What a load is expected to take that folds so many events."""
        return self.base_ms + events * self.event_us / 1000


def recommend_interval(store: EventStore, aggregate: Aggregate[object], target_ms: float = 10.0) -> Interval:
    """So that a load that is not remembered takes no longer than the target, with as few snapshots as that needs.

    From the loads that this handle has seen. InvalidEventError: they are too few, or all of one length; load some aggregates, short and long ones.
    """
    loads = [load for load in store.deciding.loader.loads() if load.aggregate == aggregate.name]
    ((longest,),) = store.sql(_LONGEST, {"category": aggregate.category}).fetchall()
    return interval(loads, longest, target_ms)


def interval(loads: Sequence[Reconstructed], longest: int, target_ms: float) -> Interval:
    """`longest`: events of the longest stream."""
    if not target_ms > 0:
        raise InvalidEventError("target_ms", target_ms, "is no time span", "give milliseconds above 0")
    cold = [load for load in loads if not load.remembered]
    lengths = {load.events for load in cold}
    if len(cold) < FEWEST_LOADS or len(lengths) < 2:
        seen = f"({len(cold)} from storage, of {len(lengths)} lengths)"
        remedy = f"load {FEWEST_LOADS} aggregates at least that this handle does not remember, short and long ones, and ask again"
        raise InvalidEventError("loads", seen, "are too few to tell what an event costs", remedy)
    slope, intercept = linear_regression([load.events for load in cold], [load.seconds for load in cold])
    event_us = max(slope * 1e6, 0.05)
    base_ms = max(intercept * 1e3, min(load.seconds for load in cold) * 1e3)
    if base_ms + longest * event_us / 1000 <= target_ms:
        return Interval(None, base_ms, event_us, longest)
    if base_ms >= target_ms:
        raise InvalidEventError("target_ms", target_ms, f"is below what a load without events takes ({base_ms:.1f} ms)", "ask for a larger one")
    return Interval(max(1, int((target_ms - base_ms) * 1000 / event_us)), base_ms, event_us, longest)

"""A state of the past costs what lies before it, not what came after."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pyarrow as pa
import pytest

from store import Aggregate, Event, EventStore, MemoryEventStore, SnapshotPolicy, load_as_of, load_at, snapshot
from store.deciding.recovery import STEP

counted = Aggregate(category="a", initial=0, evolve=lambda state, event: state + 1, snapshots=SnapshotPolicy(keep=9))


class Counting(MemoryEventStore):
    """Counts the events that are read of streams."""

    events_read = 0

    def read_stream(self, stream_id: str, after: int = 0, limit: int | None = None, backward: bool = False) -> pa.Table:
        events = super().read_stream(stream_id, after, limit, backward)
        self.events_read += len(events)
        return events


@pytest.fixture
def long() -> Iterator[Counting]:
    with Counting() as store:
        store.append("a-1", [Event("Any", {}) for _ in range(5)])
        snapshot(store, counted, "1")
        for _ in range(7):
            store.append("a-1", [Event("Any", {}) for _ in range(STEP)])
        store.events_read = 0
        yield store


def test_a_version_after_a_snapshot_is_read_from_there_to_it(long: Counting) -> None:
    assert load_at(long, counted, "1", 10).state == 10
    assert long.events_read == 6


def test_a_position_after_a_snapshot_is_read_from_there_and_not_far_beyond_it(long: Counting) -> None:
    assert load_as_of(long, counted, "1", 10).state == 10
    assert long.events_read == STEP


@pytest.mark.parametrize("position", [0, 4, 5, 6, STEP + 4, STEP + 5, 3 * STEP + 4, 3 * STEP + 5, 7 * STEP + 4, 7 * STEP + 5])
@pytest.mark.parametrize("policy", [SnapshotPolicy(keep=9), None])
def test_steps_end_at_the_position(store: EventStore, position: int, policy: Any) -> None:
    """Also where a step ends, or the stream."""
    store.append("a-1", [Event("Any", {}) for _ in range(5)])
    snapshot(store, counted, "1")
    store.append("a-1", [Event("Any", {}) for _ in range(7 * STEP)])
    loaded = load_as_of(store, Aggregate(category="a", initial=0, evolve=counted.evolve, snapshots=policy), "1", position)
    assert (loaded.state, loaded.version, loaded.position) == (position, position, position)

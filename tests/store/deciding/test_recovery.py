"""A state of the past costs what lies before it, not what came after."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pyarrow as pa
import pytest

from store import Aggregate, Event, EventStore, MemoryEventStore, SnapshotPolicy, load_as_of, load_at, snapshot

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
            store.append("a-1", [Event("Any", {}) for _ in range(1_000)])
        store.events_read = 0
        yield store


def test_a_version_after_a_snapshot_is_read_from_there_to_it(long: Counting) -> None:
    assert load_at(long, counted, "1", 10).state == 10
    assert long.events_read == 6


def test_a_position_after_a_snapshot_is_read_from_there_to_it(long: Counting) -> None:
    assert load_as_of(long, counted, "1", 10).state == 10
    assert long.events_read == 6


@pytest.mark.parametrize("position", [0, 4, 5, 6, 7_000, 7_005, 9_000])
@pytest.mark.parametrize("policy", [SnapshotPolicy(keep=9), None])
def test_a_state_as_of_a_position_has_its_events_up_to_there(store: EventStore, position: int, policy: Any) -> None:
    """Also at its first and last, between others of another stream, and beyond its end."""
    store.append("a-1", [Event("Any", {}) for _ in range(5)])
    snapshot(store, counted, "1")
    store.append("b-1", [Event("Any", {}) for _ in range(2_000)])
    store.append("a-1", [Event("Any", {}) for _ in range(5_000)])
    store.append("b-1", [Event("Any", {}) for _ in range(2_000)])
    loaded = load_as_of(store, Aggregate(category="a", initial=0, evolve=counted.evolve, snapshots=policy), "1", position)
    known = [*range(1, 6), *range(2_006, 7_006)]
    before = [at for at in known if at <= position]
    assert (loaded.state, loaded.version, loaded.position) == (len(before), len(before), before[-1] if before else 0)

"""States from what is stored: the newest snapshot that serves, or nothing, and the events since."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator
from dataclasses import replace
from itertools import chain
from typing import Any, Final, NamedTuple, TypeVar

import pyarrow as pa
import pyarrow.compute as pc

from store.deciding.aggregate import Aggregate
from store.deciding.fold import fold
from store.deciding.namesakes import Namesakes
from store.deciding.saved_state import Anchored, UnusableSnapshotError, decode_state
from store.deciding.states import Known
from store.errors import StoreError
from store.event_store import EventStore
from store.observer import Failed, Observer, SnapshotIgnored
from store.snapshots.snapshot import Snapshot

S = TypeVar("S")

REPLACE: Final = -1
"""As `Known.saved_at`: the newest snapshot is of no use."""
STEP: Final = 1_000
"""Events that are read at first where nobody knows how many are wanted."""


class Until(NamedTuple):
    """How much of a stream is wanted: up to a version, or up to a position of the log. None: all that there is."""

    version: int | None = None
    position: int | None = None


NOW: Final = Until()


class Recovery:
    """Asks storage each time; what it reads is remembered by others."""

    def __init__(self, store: EventStore, observer: Observer) -> None:
        self._store, self._observer, self._namesakes = store, observer, Namesakes()

    def meet(self, aggregate: Aggregate[S]) -> None:
        """InvalidEventError: its snapshots are also those of another aggregate."""
        if aggregate.snapshots is not None:
            self._namesakes.meet(aggregate)

    def begin(self, aggregate: Aggregate[S], stream_id: str, until: Until = NOW) -> Known:
        """The state at that place, with nothing known."""
        self.meet(aggregate)
        began_s, saved_at = time.monotonic(), 0
        for snapshot in self._store.snapshots.newest(aggregate.name, stream_id, *until) if aggregate.snapshots else ():
            try:
                state, events = decode_state(aggregate, snapshot), self._since(snapshot, until)
            except UnusableSnapshotError as unusable:
                self._observer.record(SnapshotIgnored(aggregate.name, stream_id, snapshot.version, snapshot.schema_version, str(unusable)))
                saved_at = REPLACE if unusable.replaceable else saved_at
                continue
            known = Known(state, snapshot.version, snapshot.position, began_s, saved_at or snapshot.version)
            return _folded(aggregate, stream_id, known, events)
        known = Known(aggregate.initial, 0, 0, began_s, saved_at)
        return _folded(aggregate, stream_id, known, self._events(stream_id, 0, until))

    def go_on(self, aggregate: Aggregate[S], stream_id: str, known: Known) -> Known:
        """The newest state, from one that is known."""
        return _folded(aggregate, stream_id, known, self._events(stream_id, known.version, NOW))

    def anchored(self, stream_id: str, known: Known) -> Anchored:
        """The same, to be saved."""
        [event_id] = self._store.read_stream(stream_id, known.version - 1, 1)["event_id"].to_pylist()
        return Anchored(known.state, known.version, known.position, known.checked_s, event_id=event_id)

    def _since(self, snapshot: Snapshot, until: Until) -> Iterator[pa.Table]:
        """The events since. The snapshot's own event is read with them: if it is not at its place, the snapshot is of another log."""
        events = self._events(snapshot.stream_id, snapshot.version - 1, until)
        first = next(events)
        if not _is_at_its_place(snapshot, first):
            if until == NOW:
                self._make_way(snapshot)
            problem = f"event {snapshot.event_id} is not version {snapshot.version} at position {snapshot.position} of this log"
            raise UnusableSnapshotError(problem, replaceable=True)
        return chain([first.slice(1)], events)

    def _make_way(self, snapshot: Snapshot) -> None:
        """For the one that is saved next: those of another log may have higher versions, and would stay the newest for ever."""
        try:
            self._store.snapshots.forget(snapshot.aggregate, [snapshot.stream_id])
        except StoreError as error:                # no load fails because of it, and the next one tries again
            self._observer.record(Failed("snapshots", str(error)))

    def _events(self, stream_id: str, after: int, until: Until) -> Iterator[pa.Table]:
        """Those past that version. Which version a stream had at a position nobody knows: such a read goes on in growing steps."""
        if until.position is None:
            yield self._store.read_stream(stream_id, after, None if until.version is None else until.version - after)
            return
        step = STEP
        while True:
            events = self._store.read_stream(stream_id, after, step)
            yield (wanted := events.filter(pc.less_equal(events["position"], until.position)))
            if len(wanted) < step:
                return
            after, step = after + step, 2 * step


def _is_at_its_place(snapshot: Snapshot, events: pa.Table) -> bool:
    return len(events) > 0 and (events["position"][0].as_py(), events["event_id"][0].as_py()) == (snapshot.position, snapshot.event_id)


def _folded(aggregate: Aggregate[S], stream_id: str, known: Known, parts: Iterable[pa.Table]) -> Known:
    for events in parts:
        if len(events):
            last, position = events["version"][-1].as_py(), events["position"][-1].as_py()
            state = fold(aggregate, known.state, events, f"versions {known.version + 1} to {last} of stream {stream_id!r}")
            known = replace(known, state=state, version=last, position=position, tail_bytes=known.tail_bytes + bytes_of(events))
    return known


def bytes_of(events: pa.Table | pa.RecordBatch) -> int:
    """Of the events' data."""
    total: Any = pc.sum(pc.binary_length(events["data"]))
    return int(total.as_py() or 0)                 # None of no events

"""States from what is stored: the newest snapshot that serves, or nothing, and the events since."""

from __future__ import annotations

import time
from dataclasses import replace
from typing import Any, TypeVar

import pyarrow as pa
import pyarrow.compute as pc

from store.deciding.aggregate import Aggregate
from store.deciding.fold import about, fold
from store.deciding.namesakes import Namesakes
from store.deciding.saved_state import UnusableSnapshotError, decode_state
from store.deciding.states import FOREIGN, Known
from store.event_store import EventStore
from store.observer import Observer, SnapshotIgnored
from store.snapshots.snapshot import Snapshot

S = TypeVar("S")

class Recovery:
    """Asks storage each time; what it reads is remembered by others."""

    def __init__(self, store: EventStore, observer: Observer) -> None:
        self._store, self._observer, self._namesakes = store, observer, Namesakes()

    def meet(self, aggregate: Aggregate[S]) -> None:
        """InvalidEventError: its snapshots are also those of another aggregate."""
        if aggregate.snapshots is not None:
            self._namesakes.meet(aggregate)

    def begin(self, aggregate: Aggregate[S], stream_id: str, until: int | None = None) -> Known:
        """The state at that version, or the newest, with nothing known."""
        self.meet(aggregate)
        began_s, saved_at = time.monotonic(), 0
        for snapshot in self._store.snapshots.newest(aggregate.name, stream_id, until) if aggregate.snapshots else ():
            try:
                (state, keys), events = decode_state(aggregate, snapshot, self._store.privacy), self._since(snapshot, until)
            except UnusableSnapshotError as unusable:
                self._observer.record(SnapshotIgnored(aggregate.name, stream_id, snapshot.version, snapshot.schema_version, str(unusable)))
                saved_at = min(saved_at, unusable.saved_at)
                continue
            position = events["position"][0].as_py()
            known = Known(state, snapshot.version, position, began_s, saved_at or snapshot.version, event_id=snapshot.event_id, keys=keys)
            return self._folded(aggregate, stream_id, known, events.slice(1))
        known = Known(aggregate.initial, 0, 0, began_s, saved_at)
        return self._folded(aggregate, stream_id, known, self._events(stream_id, 0, until))

    def go_on(self, aggregate: Aggregate[S], stream_id: str, known: Known) -> Known:
        """The newest state, from one that is known."""
        return self._folded(aggregate, stream_id, known, self._events(stream_id, known.version))

    def _since(self, snapshot: Snapshot, until: int | None) -> pa.Table:
        """The snapshot's own event, and those since. If that event is not at its place, the snapshot is of another log."""
        events = self._events(snapshot.stream_id, snapshot.version - 1, until)
        if not len(events) or events["event_id"][0].as_py() != snapshot.event_id:
            problem = f"event {snapshot.event_id} is not version {snapshot.version} of {snapshot.stream_id} in this log"
            raise UnusableSnapshotError(problem, saved_at=FOREIGN)
        return events

    def _events(self, stream_id: str, after: int, until: int | None = None) -> pa.Table:
        return self._store.read_stream(stream_id, after, None if until is None else until - after)

    def _folded(self, aggregate: Aggregate[S], stream_id: str, known: Known, events: pa.Table) -> Known:
        if not len(events):
            return known
        last, position, event_id = (events[name][-1].as_py() for name in ("version", "position", "event_id"))
        plain, keys = self._store.privacy.opened(events)
        with about(stream_id):
            state = fold(aggregate, known.state, plain, f"versions {known.version + 1} to {last} of stream {stream_id!r}")
        tail_bytes, keys = known.tail_bytes + bytes_of(events), known.keys | keys
        return replace(known, state=state, version=last, position=position, tail_bytes=tail_bytes, event_id=event_id, keys=keys)


def bytes_of(events: pa.Table | pa.RecordBatch) -> int:
    """Of the events' data."""
    total: Any = pc.sum(pc.binary_length(events["data"]))
    return int(total.as_py() or 0)                 # None of no events

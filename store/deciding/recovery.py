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
from store.deciding.states import FOREIGN, NEVER, Known
from store.event_store import EventStore
from store.husk import erasure_of
from store.observer import Observer, SnapshotIgnored
from store.retention.terms import NOTHING, Terms
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
        while True:                                # of one window: what is read may be newer than what was known of it before
            terms = self._terms(stream_id)
            known = self._begun(aggregate, stream_id, until, terms)
            if self._terms(stream_id) == terms:
                return known

    def go_on(self, aggregate: Aggregate[S], stream_id: str, known: Known) -> Known:
        """The newest state, from one that is known."""
        events = self._events(stream_id, known.version)
        if self._has_moved(stream_id, known) or (len(events) and events["version"][0].as_py() != known.version + 1):
            return self.begin(aggregate, stream_id)
        return self._folded(aggregate, stream_id, known, events)

    def _has_moved(self, stream_id: str, known: Known) -> bool:
        """Is more hidden, of what was read just now, than that state was seen through? Where a rule is in force each event appended may hide one."""
        terms = self._terms(stream_id)
        return terms.position != known.changed or (bool(terms.rule) and self._store.retention.window(stream_id).hidden != known.hidden)

    def _begun(self, aggregate: Aggregate[S], stream_id: str, until: int | None, terms: Terms) -> Known:
        began_s, saved_at = time.monotonic(), NEVER if terms.rule else 0
        seen = {"hidden": terms.floor, "changed": terms.position}
        for snapshot in self._store.snapshots.newest(aggregate.name, stream_id, until) if aggregate.snapshots and not terms.rule else ():
            if terms.outdates(snapshot.position):
                saved_at = saved_at or snapshot.version
                continue
            try:
                (state, keys), events = decode_state(aggregate, snapshot, self._store.privacy), self._since(snapshot, until)
            except UnusableSnapshotError as unusable:
                self._observer.record(SnapshotIgnored(aggregate.name, stream_id, snapshot.version, snapshot.schema_version, str(unusable)))
                saved_at = min(saved_at, unusable.saved_at)
                continue
            position = events["position"][0].as_py()
            known = Known(state, snapshot.version, position, began_s, saved_at or snapshot.version, event_id=snapshot.event_id, keys=keys, **seen)
            return self._folded(aggregate, stream_id, known, events.slice(1))
        events = self._events(stream_id, 0, until)
        known = Known(aggregate.initial, 0, 0, began_s, saved_at, changed=terms.position)
        if len(events):
            return self._folded(aggregate, stream_id, replace(known, hidden=events["version"][0].as_py() - 1), events)
        return known if terms == NOTHING else self._behind(stream_id, known, until)

    def _behind(self, stream_id: str, known: Known, until: int | None) -> Known:
        """The place of an initial state behind events that are all hidden: it still has a version, unless the stream was deleted."""
        window = self._store.retention.window(stream_id)
        version = min(window.version, window.hidden)
        version = version if until is None else min(version, until)
        return replace(known, version=version, hidden=window.hidden, saved_at=max(known.saved_at, version))        # there is nothing to save

    def _terms(self, stream_id: str) -> Terms:
        return self._store.retention.terms(stream_id) or NOTHING

    def _since(self, snapshot: Snapshot, until: int | None) -> pa.Table:
        """The snapshot's own event, and those since. If that event is not at its place, the snapshot is of another log."""
        events = self._events(snapshot.stream_id, snapshot.version - 1, until)
        if not len(events) or events["event_id"][0].as_py() != snapshot.event_id:
            problem = f"event {snapshot.event_id} is not version {snapshot.version} of {snapshot.stream_id} in this log"
            raise UnusableSnapshotError(problem, saved_at=FOREIGN)
        if erasure_of(events["data"][0].as_py()) is not None:
            # One that was taken since says what the husks leave, and folding them costs no more than it would.
            raise UnusableSnapshotError(f"version {snapshot.version} of {snapshot.stream_id} was erased", saved_at=snapshot.version)
        return events

    def _events(self, stream_id: str, after: int, until: int | None = None) -> pa.Table:
        events = self._store.read_stream(stream_id, after, None if until is None else until - after)
        if until is None or not len(events):
            return events
        return events.slice(0, max(0, until - events["version"][0].as_py() + 1))        # it may begin later, where what comes before is hidden

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

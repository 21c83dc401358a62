"""Loading: the newest known state, a snapshot or nothing, and the events since. Each way gives the state of the full fold."""

from __future__ import annotations

import time
from collections import deque
from dataclasses import replace
from datetime import datetime
from typing import Any, Final, TypeVar

import pyarrow as pa
import pyarrow.compute as pc

from store.correlation import cause
from store.deciding.aggregate import Aggregate, Loaded
from store.deciding.boundary import Boundary, Matched
from store.deciding.fold import fold
from store.deciding.saved_state import UnusableSnapshotError, decode_state
from store.deciding.snapshotter import Snapshotter
from store.deciding.states import Known, States
from store.errors import InvalidEventError
from store.event_store import AsOf, EventStore
from store.observer import Failed, Observer, Reconstructed, SnapshotIgnored
from store.query import Query
from store.snapshots.snapshot import Snapshot

S = TypeVar("S")

REMEMBERED_LOADS: Final = 1_000
REPLACE: Final = -1
"""As `Known.saved_at`: the newest snapshot is of no use."""


class Loader:
    """Loads states of one store, and remembers them."""

    def __init__(self, store: EventStore, states: States, snapshotter: Snapshotter, observer: Observer) -> None:
        self._store, self._states, self._snapshotter, self._observer = store, states, snapshotter, observer
        self._loads: deque[Reconstructed] = deque(maxlen=REMEMBERED_LOADS)

    def loads(self) -> list[Reconstructed]:
        """The last loads that folded events, or read a snapshot."""
        return list(self._loads)

    def load(self, aggregate: Aggregate[S], stream_id: str, stale_s: float) -> Known:
        """The newest state; a remembered one at once if it was the newest `stale_s` ago or later."""
        began_s, found = time.monotonic(), self._states.get((aggregate, stream_id))
        if found is not None and began_s - found.checked_s <= stale_s:
            return found
        if found is not None and self._store.stream_version(stream_id) == found.version:
            known = replace(found, checked_s=began_s)
            self._states.put((aggregate, stream_id), known)
            return known
        known = self._recover(aggregate, stream_id, began_s) if found is None else self._catch_up(aggregate, stream_id, found, began_s)
        seconds = time.monotonic() - began_s
        folded = known.version - (found.version if found else max(known.saved_at, 0))
        measured = Reconstructed(aggregate.name, stream_id, known.version, folded, found is not None, seconds, cause().correlation_id)
        self._loads.append(measured)
        self._observer.record(measured)
        self.remember(aggregate, stream_id, known, seconds)
        return known

    def remember(self, aggregate: Aggregate[S], stream_id: str, known: Known, load_s: float = 0.0) -> None:
        """After a load or a decision. A snapshot is taken if it is time for one."""
        self._states.put((aggregate, stream_id), known)
        if self._is_due(aggregate, known, load_s):
            self._snapshotter.take(aggregate, stream_id, known)
            self._states.put((aggregate, stream_id), replace(known, saved_at=known.version, tail_bytes=0))

    def _is_due(self, aggregate: Aggregate[S], known: Known, load_s: float) -> bool:
        try:
            return aggregate.snapshots is not None and aggregate.snapshots.asks(known, load_s)
        except Exception as error:                 # the application's predicate: what was decided is a fact all the same
            self._observer.record(Failed("snapshots", f"the policy of {aggregate.name!r} failed ({error!r})"))
            return False

    def load_at(self, aggregate: Aggregate[S], stream_id: str, version: int) -> Loaded[S]:
        """The state that the stream had at that version."""
        if not isinstance(version, int) or isinstance(version, bool) or version < 0:
            raise InvalidEventError("version", version, "is no version", "give a number from 0 to the stream's version")
        known = self._recover(aggregate, stream_id, time.monotonic(), version=version)
        if known.version < version:
            raise InvalidEventError("version", version, f"is beyond stream {stream_id!r}, which is at {known.version}", "ask for one that it has had")
        return Loaded(stream_id, known.state, known.version, known.position)

    def load_as_of(self, aggregate: Aggregate[S], stream_id: str, as_of: AsOf) -> Loaded[S]:
        """The state when the log ended at that position, or at that time."""
        position = self.position(as_of)
        known = self._recover(aggregate, stream_id, time.monotonic(), position=position)
        return Loaded(stream_id, known.state, known.version, known.position, position)

    def match(self, boundary: Boundary[S], query: Query) -> Matched[S]:
        """The newest state of a boundary."""
        began_s, head = time.monotonic(), self._store.head()
        known = self._states.get((boundary, query)) or Known(boundary.initial, 0, 0, began_s)
        if known.position < head:
            state, count, data_bytes = known.state, known.version, known.tail_bytes
            for batch in self._store.read_all(known.position, head, query=query):
                state = fold(boundary, state, batch, f"events that match {query}")
                count, data_bytes = count + len(batch), data_bytes + _data_bytes(batch)
            known = Known(state, count, head, began_s, tail_bytes=data_bytes)
            self._states.put((boundary, query), known)
        return Matched(query, known.state, known.position, known.version, known.tail_bytes)

    def matched(self, boundary: Boundary[S], matched: Matched[S]) -> None:
        """Remember the state after a decision."""
        known = Known(matched.state, matched.events, matched.position, time.monotonic(), tail_bytes=matched.data_bytes)
        self._states.put((boundary, matched.query), known)

    def position(self, as_of: AsOf) -> int:
        """The place in the log that is meant."""
        match as_of:
            case bool():
                pass
            case int() if as_of >= 0:
                return min(as_of, self._store.head())
            case datetime():
                return self._store.position_at(as_of)
        raise InvalidEventError("as_of", as_of, "is no place in the log", "give a position from 0, or a datetime with a time zone")

    # Below ----------------------------------------------------------------------------------------------------

    def _recover(self, aggregate: Aggregate[S], stream_id: str, began_s: float, version: int | None = None, position: int | None = None) -> Known:
        """From the newest snapshot that serves, or from nothing; up to that version and position."""
        saved_at = 0
        for snapshot in self._store.snapshots.newest(aggregate.name, stream_id, version, position) if aggregate.snapshots else ():
            try:
                state = decode_state(aggregate, snapshot)
                events = self._after(snapshot)
            except UnusableSnapshotError as unusable:
                self._observer.record(SnapshotIgnored(aggregate.name, stream_id, snapshot.version, snapshot.schema_version, str(unusable)))
                saved_at = REPLACE if unusable.replaceable else saved_at
                continue
            known = Known(state, snapshot.version, snapshot.position, began_s, saved_at or snapshot.version)
            return self._fold(aggregate, stream_id, known, _until(events, version, position))
        known = Known(aggregate.initial, 0, 0, began_s, saved_at)
        return self._fold(aggregate, stream_id, known, _until(self._store.read_stream(stream_id, limit=version), version, position))

    def _after(self, snapshot: Snapshot) -> pa.Table:
        """The events since. The snapshot's own event is read with them: if it is not at its place, the snapshot is of another log."""
        events = self._store.read_stream(snapshot.stream_id, after=snapshot.version - 1)
        if not len(events) or events["position"][0].as_py() != snapshot.position:
            raise UnusableSnapshotError(f"version {snapshot.version} is not at position {snapshot.position} of this log", replaceable=True)
        return events.slice(1)

    def _catch_up(self, aggregate: Aggregate[S], stream_id: str, found: Known, began_s: float) -> Known:
        known = replace(found, checked_s=began_s)
        return self._fold(aggregate, stream_id, known, self._store.read_stream(stream_id, after=found.version))

    def _fold(self, aggregate: Aggregate[S], stream_id: str, known: Known, events: pa.Table) -> Known:
        if not len(events):
            return known
        last, position = events["version"][-1].as_py(), events["position"][-1].as_py()
        state = fold(aggregate, known.state, events, f"versions {known.version + 1} to {last} of stream {stream_id!r}")
        return replace(known, state=state, version=last, position=position, tail_bytes=known.tail_bytes + _data_bytes(events))


def _until(events: pa.Table, version: int | None, position: int | None) -> pa.Table:
    if version is not None:
        events = events.filter(pc.less_equal(events["version"], version))
    return events if position is None else events.filter(pc.less_equal(events["position"], position))


def _data_bytes(events: pa.Table | pa.RecordBatch) -> int:
    total: Any = pc.sum(pc.binary_length(events["data"]))
    return int(total.as_py() or 0)                 # None of no events

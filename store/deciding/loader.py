"""Loading: a remembered state and the events since, or what the storage has. Each way gives the state of the full fold."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Hashable
from dataclasses import replace
from datetime import datetime
from typing import Final, TypeVar

from store.correlation import cause
from store.deciding.aggregate import Aggregate, Loaded
from store.deciding.boundary import Boundary, Matched
from store.deciding.fold import fold
from store.deciding.recovery import Recovery, bytes_of
from store.deciding.snapshotter import Snapshotter
from store.deciding.states import NEVER, Known, States
from store.errors import InvalidEventError
from store.event_store import AsOf, EventStore
from store.observer import Failed, Observer, Reconstructed
from store.privacy.confidant import Confidant
from store.query import Query
from store.retention.terms import NOTHING

S = TypeVar("S")

REMEMBERED_LOADS: Final = 1_000


class Loader:
    """Loads states of one store, and remembers them."""

    def __init__(self, store: EventStore, states: States, snapshotter: Snapshotter, observer: Observer) -> None:
        self._store, self._states, self._snapshotter, self._observer = store, states, snapshotter, observer
        self.recovery: Final = Recovery(store, observer)
        self._loads: deque[Reconstructed] = deque(maxlen=REMEMBERED_LOADS)

    @property
    def privacy(self) -> Confidant:
        return self._store.privacy

    def loads(self) -> list[Reconstructed]:
        """The last loads that folded events, or read a snapshot."""
        return list(self._loads)

    def load(self, aggregate: Aggregate[S], stream_id: str, stale_s: float) -> Known:
        """The newest state; a remembered one at once if it was the newest `stale_s` ago or later."""
        _check_seconds(stale_s)
        while True:                                # until nothing was erased while it was read
            began_s = time.monotonic()
            known = self._load(aggregate, stream_id, stale_s)
            if not self._states.forgot_since(began_s):
                return known

    def _load(self, aggregate: Aggregate[S], stream_id: str, stale_s: float) -> Known:
        began_s, found = time.monotonic(), self._remembered((aggregate, stream_id))
        if found is not None and began_s - found.checked_s <= stale_s:
            return found
        if found is not None:
            window = self._store.retention.window(stream_id)
            if window == (found.version, found.hidden, found.changed):
                known = replace(found, checked_s=began_s)
                self._states.put((aggregate, stream_id), known)
                return known
            if window[1:] != (found.hidden, found.changed):
                found = None                       # it saw what is hidden now
        known = self.recovery.go_on(aggregate, stream_id, replace(found, checked_s=began_s)) if found else self.recovery.begin(aggregate, stream_id)
        seconds = time.monotonic() - began_s
        folded = known.version - (found.version if found else max(known.hidden, 0 if known.saved_at == NEVER else known.saved_at))
        measured = Reconstructed(aggregate.name, stream_id, known.version, folded, found is not None, seconds, cause().correlation_id)
        self._loads.append(measured)
        self._observer.record(measured)
        self.remember(aggregate, stream_id, known, seconds)
        return known

    def remember(self, aggregate: Aggregate[S], stream_id: str, known: Known, load_s: float = 0.0) -> None:
        """A snapshot is taken if it is time for one."""
        self._states.put((aggregate, stream_id), known)
        if aggregate.snapshots is not None:
            try:
                if aggregate.snapshots.asks(known, load_s):
                    self._snapshotter.take(aggregate, stream_id, known)
                    self._states.put((aggregate, stream_id), replace(known, saved_at=known.version, tail_bytes=0))
            except Exception as error:             # the application's predicate: what was decided is a fact all the same
                self._observer.record(Failed("snapshots", f"the policy of {aggregate.name!r} failed ({known.shown(error)})"))

    def decided(self, aggregate: Aggregate[S], stream_id: str, known: Known) -> None:
        """The state after a decision; unless retention has hidden something since it was loaded: then it saw what is hidden now."""
        if (self._store.retention.terms(stream_id) or NOTHING).position == known.changed:
            self.remember(aggregate, stream_id, known)

    def load_at(self, aggregate: Aggregate[S], stream_id: str, version: int) -> Loaded[S]:
        """The state that the stream had at that version."""
        if not isinstance(version, int) or isinstance(version, bool) or not 0 <= version < 2**63:
            raise InvalidEventError("version", version, "is no version", "give a number from 0 to the stream's version")
        known = self.recovery.begin(aggregate, stream_id, version)
        if known.version < version:
            raise InvalidEventError("version", version, f"is beyond stream {stream_id!r}, which is at {known.version}", "ask for one that it has had")
        return Loaded(stream_id, known.state, known.version, known.position)

    def load_as_of(self, aggregate: Aggregate[S], stream_id: str, as_of: AsOf) -> Loaded[S]:
        """The state when the log ended at that position, or at that time."""
        position = self.position(as_of)
        known = self.recovery.begin(aggregate, stream_id, self._store.version_at(stream_id, position))
        return Loaded(stream_id, known.state, known.version, known.position, position)

    def match(self, boundary: Boundary[S], query: Query) -> Matched[S]:
        """The newest state of a boundary."""
        while True:                                # as above
            began_s = time.monotonic()
            matched = self._match(boundary, query)
            if not self._states.forgot_since(began_s):
                return matched

    def _match(self, boundary: Boundary[S], query: Query) -> Matched[S]:
        began_s, head = time.monotonic(), self._store.head()
        known = self._remembered((boundary, query)) or Known(boundary.initial, 0, 0, began_s)
        if known.position < head:
            state, count, data_bytes, keys = known.state, known.version, known.tail_bytes, known.keys
            for batch in self._store.read_all(known.position, head, query=query):
                plain, more = self._store.privacy.opened(batch)
                state = fold(boundary, state, plain, f"events that match {query}")
                count, data_bytes, keys = count + len(batch), data_bytes + bytes_of(batch), keys | more
            known = Known(state, count, head, began_s, tail_bytes=data_bytes, keys=keys)
            self._states.put((boundary, query), known)
        return Matched(query, known.state, known.position, known.version, known.tail_bytes, began_s, known.keys)

    def matched(self, boundary: Boundary[S], matched: Matched[S]) -> None:
        """Remember the state after a decision."""
        known = Known(matched.state, matched.events, matched.position, matched.checked_s, tail_bytes=matched.data_bytes, keys=matched.keys)
        self._states.put((boundary, matched.query), known)

    def _remembered(self, key: Hashable) -> Known | None:
        """A state that may still be shown: personal data in it is forgotten as soon as its keys are."""
        found = self._states.get(key)
        if found is None or self._store.privacy.holds(found.keys):
            return found
        self._states.drop(key, found)
        return None

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


def _check_seconds(stale_s: object) -> None:
    if not isinstance(stale_s, int | float) or not stale_s >= 0:
        raise InvalidEventError("stale_s", stale_s, "is no time span", "give seconds from 0 on; 0 asks the log each time")

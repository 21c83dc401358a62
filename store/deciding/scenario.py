"""Given, when, then: decisions tested as they run, on a store in memory."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from store.deciding.aggregate import Aggregate
from store.deciding.boundary import Boundary
from store.deciding.fold import Folding, decode
from store.deciding.verbs import load, load_query, transact, transact_query
from store.event import Event
from store.event_store import EventStore
from store.event_types.raw_event import RawEvent
from store.memory import MemoryEventStore
from store.query import Query

S = TypeVar("S")

_STREAM = "given"


@dataclass(frozen=True, slots=True)
class Scenario(Generic[S]):
    """Events that have happened. Each `when` begins from them anew."""

    folding: Folding[S]
    happened: Mapping[str, Sequence[Any]]
    _load: Callable[[EventStore], S]
    _transact: Callable[[EventStore, Callable[[S], Any]], S]

    def when(self, decide: Callable[[S], Any]) -> Outcome[S]:
        """Decide on them. AssertionError: `decide` or `evolve` changed a state instead of making a new one."""
        with self._store() as store:
            head = store.head()
            untouched = deepcopy(state := self._load(store))
            try:
                state_after, refusal = self._transact(store, decide), None
            except Exception as error:
                state_after, refusal = state, error
            assert state == untouched, f"a state was changed, from {untouched!r} to {state!r}: decide and evolve must return new ones"
            events = [event for batch in store.read_all(after=head) for event in decode(self.folding, batch)]
        return Outcome(events, state_after, refusal)

    def state(self) -> S:
        """What they add up to."""
        with self._store() as store:
            return self._load(store)

    def _store(self) -> MemoryEventStore:
        store = MemoryEventStore()
        for stream_id, events in self.happened.items():
            store.append(stream_id, [_event(self.folding, event) for event in events])
        return store


@dataclass(frozen=True, slots=True)
class Outcome(Generic[S]):
    """What a decision came to: its events as they will be read, the state after them, or its refusal."""

    events: Sequence[Any]
    state: S
    refusal: Exception | None

    def then(self, *events: Any) -> Outcome[S]:
        """Just these events were decided, in this order; none for `then()`."""
        self._went_well()
        told = "\n".join(("expected", *map(_line, events), "decided", *map(_line, self.events)))
        assert list(self.events) == list(events), told
        return self

    def then_state(self, state: S) -> Outcome[S]:
        """The state after the events is this one."""
        self._went_well()
        assert self.state == state, f"expected the state\n  {state!r}\ngot\n  {self.state!r}"
        return self

    def then_refused(self, error: type[Exception], match: str = "") -> Outcome[S]:
        """The decision was refused with this class of error, and nothing was appended. `match`: a pattern that its text holds."""
        assert self.refusal is not None, "\n".join((f"expected {error.__name__}, but these were decided", *map(_line, self.events)))
        if not isinstance(self.refusal, error):
            raise self.refusal
        assert re.search(match, str(self.refusal)), f"expected {error.__name__} to say {match!r}, it says: {self.refusal}"
        return self

    def _went_well(self) -> None:
        if self.refusal is not None:
            raise self.refusal


def given(aggregate: Aggregate[S], *events: Any) -> Scenario[S]:
    """An aggregate with this history: objects of registered types, `Event`s, or `RawEvent`s in an old shape.

        given(aircraft, Landed("BOS")).when(partial(depart, to="JFK")).then(Departed("BOS", "JFK"))
        given(aircraft, Departed("BOS", "JFK")).when(partial(depart, to="LGA")).then_refused(Airborne)
    """
    return Scenario(
        aggregate,
        {aggregate.stream_id(_STREAM): events},
        lambda store: load(store, aggregate, _STREAM).state,
        lambda store, decide: transact(store, aggregate, _STREAM, decide).state,
    )


def given_query(boundary: Boundary[S], query: Query, happened: Mapping[str, Sequence[Any]]) -> Scenario[S]:
    """The same for a decision over a query: the history by stream."""
    return Scenario(
        boundary,
        happened,
        lambda store: load_query(store, boundary, query).state,
        lambda store, decide: transact_query(store, boundary, query, decide).state,
    )


def _event(folding: Folding[S], event: Any) -> Event:
    if isinstance(event, Event):
        return event
    if isinstance(event, RawEvent):
        return Event(event.type, event.data, schema_version=event.schema_version)
    return folding.types.event(event)


def _line(event: Any) -> str:
    return f"  {event!r}"

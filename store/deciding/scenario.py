"""Given, when, then: decisions tested as they run, on a store in memory."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

import pyarrow as pa

from store.deciding.aggregate import Aggregate
from store.deciding.boundary import Boundary
from store.deciding.fold import Folding
from store.deciding.verbs import load, load_query, transact, transact_many, transact_query
from store.erasing.choice import Choice
from store.erasing.erasure import Erasure
from store.event import Event
from store.event_store import EventStore
from store.event_types.erased_event import ErasedEvent
from store.event_types.raw_event import RawEvent
from store.memory import MemoryEventStore
from store.privacy.memory_keys import MemoryKeys
from store.privacy.privacy import Privacy
from store.query import Query

S = TypeVar("S")
D = TypeVar("D", bound=Callable[..., Any])

Decided = tuple[Sequence[Any], Sequence[str]]
"""Events in log order, and the stream of each."""

_STREAM = "given"


@dataclass(frozen=True, slots=True)
class Scenario(Generic[S, D]):
    """Events that have happened. Each `when` begins from them anew."""

    happened: Mapping[str, Sequence[Event | ErasedEvent]]
    _load: Callable[[EventStore], S]
    _transact: Callable[[EventStore, D], S]
    _decided: Callable[[EventStore, int], Decided]

    def when(self, decide: D) -> Outcome[S]:
        """Decide on them. AssertionError: `decide` or `evolve` changed a state instead of making a new one."""
        with self._store() as store:
            head = store.head()
            untouched = deepcopy(state := self._load(store))
            comparable = state == untouched            # else its class has no __eq__, and nothing can be told
            try:
                state_after, refusal = self._transact(store, decide), None
            except Exception as error:
                state_after, refusal = state, error
            changed = f"a state was changed, from {untouched!r} to {state!r}: decide and evolve must return new ones"
            assert state == untouched or not comparable, changed
            return Outcome(*self._decided(store, head), state_after, refusal)

    def state(self) -> S:
        """What they add up to."""
        with self._store() as store:
            return self._load(store)

    def _store(self) -> MemoryEventStore:
        store = MemoryEventStore(privacy=Privacy(MemoryKeys()))
        for stream_id, events in self.happened.items():
            answer = store.append(stream_id, [Event(event.type, {}) if isinstance(event, ErasedEvent) else event for event in events])
            for position, event in enumerate(events, answer.first_position):
                if isinstance(event, ErasedEvent):
                    store.rewrite(Choice(Erasure(streams=[stream_id]), event.erasure_id, store.head(), pa.array([position])))
        return store


@dataclass(frozen=True, slots=True)
class Outcome(Generic[S]):
    """What a decision came to: its events as they will be read, the state after them, or its refusal."""

    events: Sequence[Any]
    streams: Sequence[str]
    state: S
    refusal: Exception | None

    def then(self, *events: Any) -> Outcome[S]:
        """Just these events were decided, in this order; none for `then()`."""
        self._went_well()
        told = "\n".join(("expected", *map(_line, events), "decided", *map(_line, self.events)))
        assert list(self.events) == list(events), told
        return self

    def then_in(self, stream_id: str, *events: Any) -> Outcome[S]:
        """Just these events were decided for that stream; of a decision over a query."""
        self._went_well()
        own = [event for stream, event in zip(self.streams, self.events, strict=True) if stream == stream_id]
        assert own == list(events), "\n".join((f"expected in {stream_id!r}", *map(_line, events), "decided", *map(_line, own)))
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
            self.refusal.add_note(f"where {error.__name__} was expected")
            raise self.refusal
        assert re.search(match, str(self.refusal)), f"expected {error.__name__} to say {match!r}, it says: {self.refusal}"
        return self

    def _went_well(self) -> None:
        if self.refusal is not None:
            raise self.refusal


def given(aggregate: Aggregate[S], *events: Any) -> Scenario[S, Callable[[S], Any]]:
    """An aggregate with this history: objects of registered types, `Event`s, `RawEvent`s in an old shape, `ErasedEvent`s.

        given(aircraft, Landed("BOS")).when(partial(depart, to="JFK")).then(Departed("BOS", "JFK"))
        given(aircraft, Departed("BOS", "JFK")).when(partial(depart, to="LGA")).then_refused(Airborne)
    """
    return Scenario(
        {aggregate.stream_id(_STREAM): _events(aggregate, events)},
        lambda store: load(store, aggregate, _STREAM).state,
        lambda store, decide: transact(store, aggregate, _STREAM, decide).state,
        lambda store, head: _read(aggregate, store, head),
    )


def given_many(*histories: tuple[Aggregate[Any], Sequence[Any]]) -> Scenario[tuple[Any, ...], Callable[..., Any]]:
    """The same for a decision on several aggregates, each with its history; `then` is given a list of events for each.

        given_many((aircraft, []), (airport, [AirportClosed("snow")])).when(depart).then_refused(AirportClosedError)
    """
    targets = [(aggregate, str(number)) for number, (aggregate, _) in enumerate(histories, 1)]
    streams = {aggregate.stream_id(id): aggregate for aggregate, id in targets}
    happened = {stream_id: _events(*history) for stream_id, history in zip(streams, histories, strict=True)}
    return Scenario(
        happened,
        lambda store: tuple(load(store, aggregate, id).state for aggregate, id in targets),
        lambda store, decide: transact_many(store, targets, decide).state,
        lambda store, head: _read_each(store, streams, head),
    )


def given_query(boundary: Boundary[S], query: Query, happened: Mapping[str, Sequence[Any]]) -> Scenario[S, Callable[[S], Any]]:
    """The same for a decision over a query: the history by stream."""
    return Scenario(
        {stream_id: _events(boundary, events) for stream_id, events in happened.items()},
        lambda store: load_query(store, boundary, query).state,
        lambda store, decide: transact_query(store, boundary, query, decide).state,
        lambda store, head: _read(boundary, store, head),
    )


def _read(folding: Folding[Any], store: EventStore, head: int) -> Decided:
    events: list[Any] = []
    streams: list[str] = []
    for stream_id, type, schema_version, data in zip(*_columns(store, head), strict=True):
        decoded = folding.types.decode_text(type, schema_version, data)
        events += decoded
        streams += [stream_id] * len(decoded)
    return events, streams


def _read_each(store: EventStore, aggregates: Mapping[str, Aggregate[Any]], head: int) -> Decided:
    """A list of events for each."""
    events: dict[str, list[Any]] = {stream_id: [] for stream_id in aggregates}
    for stream_id, type, schema_version, data in zip(*_columns(store, head), strict=True):
        events[stream_id] += aggregates[stream_id].types.decode_text(type, schema_version, data)
    return list(events.values()), list(events)


def _columns(store: EventStore, head: int) -> list[list[Any]]:
    decided = store.privacy.open(store.read_all(after=head).read_all())
    return [decided[name].to_pylist() for name in ("stream_id", "type", "schema_version", "data")]


def _events(folding: Folding[Any], events: Sequence[Any]) -> list[Event | ErasedEvent]:
    return [_event(folding, event) for event in events]


def _event(folding: Folding[S], event: Any) -> Event | ErasedEvent:
    if isinstance(event, Event | ErasedEvent):
        return event
    if isinstance(event, RawEvent):
        return Event(event.type, event.data, schema_version=event.schema_version)
    return folding.types.event(event)


def _line(event: Any) -> str:
    return f"  {event!r}"

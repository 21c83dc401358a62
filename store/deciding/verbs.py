"""What an application calls: load states, decide on them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar

from store.deciding.aggregate import Aggregate, Loaded
from store.deciding.boundary import Boundary, Matched
from store.deciding.decider import PATIENCE_S
from store.deciding.decision import Transacted
from store.deciding.grounds import ManyStreams, OneStream, Queried
from store.deciding.history import History, evolve_each
from store.errors import InvalidEventError
from store.event_store import AsOf, EventStore
from store.query import Query

S = TypeVar("S")


def load(store: EventStore, aggregate: Aggregate[S], id: str, *, stale_s: float = 0.0) -> Loaded[S]:
    """The aggregate now: every event that any process was acknowledged is in it.

    `stale_s`: a remembered state will do if it was right so many seconds ago; then nothing is asked of the storage.
    The state is shared with later loads: do not change it. UnknownEventTypeError: its stream holds an event that this code does not know.
    """
    stream_id = aggregate.stream_id(id)
    known = store.deciding.loader.load(aggregate, stream_id, stale_s)
    return Loaded(stream_id, known.state, known.version, known.position)


def load_at(store: EventStore, aggregate: Aggregate[S], id: str, version: int) -> Loaded[S]:
    """The aggregate as it was at that version of its stream; 0 is its initial state. InvalidEventError: the stream is not there yet."""
    return store.deciding.loader.load_at(aggregate, aggregate.stream_id(id), version)


def load_as_of(store: EventStore, aggregate: Aggregate[S], id: str, as_of: AsOf) -> Loaded[S]:
    """The aggregate as it was when the log ended at a position, or at a time (the last position recorded by then): `as_of` of the answer."""
    return store.deciding.loader.load_as_of(aggregate, aggregate.stream_id(id), as_of)


def history(store: EventStore, aggregate: Aggregate[S], id: str, *, after: int = 0, limit: int | None = None) -> History[S]:
    """Each event of its stream past version `after`, the first `limit` of them, with the state before and after it; all of it is in memory.

    InvalidEventError: the stream has no version `after` yet. UnknownEventTypeError: see `load`.
    """
    before = load_at(store, aggregate, id, after)
    events = store.privacy.open(store.read_stream(before.stream_id, after, limit))
    return History(before.stream_id, tuple(evolve_each(aggregate, before.state, events)))


def load_query(store: EventStore, boundary: Boundary[S], query: Query) -> Matched[S]:
    """The state folded from every event that matches now."""
    return store.deciding.loader.match(boundary, boundary.asked(query))


def transact(
    store: EventStore, aggregate: Aggregate[S], id: str, decide: Callable[[S], Any], *, patience_s: float = PATIENCE_S
) -> Transacted[S]:
    """Decide on the newest state and append what was decided; when another was first, decide again.

    `decide`: state -> the events: objects of registered types or `Event`s, one, several or none. It may be called often, and on
    another thread, so it must do nothing but decide. What it raises is raised here and nothing is appended; a refusal
    that rests on a neighbour's uncommitted events is held back until these are durable.

    Decisions of this process on one stream queue up: each sees the state that those before it leave, and all share one commit.
    Correlation ids: the surrounding ones, or a new one.

    ContentionError: others were first for `patience_s`. OutcomeUnknownError: the storage stayed mute for as long; load, and look whether
    the events are there. UnknownEventTypeError: see `load`.
    """
    ground = OneStream(store.deciding.loader, aggregate, aggregate.stream_id(id))
    return store.deciding.decider.transact(ground, decide, patience_s)


def transact_many(
    store: EventStore,
    targets: Sequence[tuple[Aggregate[Any], str]],
    decide: Callable[..., Any],
    *,
    patience_s: float = PATIENCE_S,
) -> Transacted[tuple[Any, ...]]:
    """The same over several aggregates, atomically: `decide` is given their states, and returns a list of events for each, in the same order.

    Streams that get no events are checked all the same: everything that was decided on still holds at the commit.
    """
    streams = [(aggregate, aggregate.stream_id(id)) for aggregate, id in targets]
    named = [stream_id for _, stream_id in streams]
    if len(set(named)) < len(named) or not named:
        raise InvalidEventError("targets", named, "are no distinct streams", "name at least one, and each stream once")
    ground = ManyStreams(store.deciding.loader, streams)
    return store.deciding.decider.transact(ground, lambda states: decide(*states), patience_s)


def transact_query(
    store: EventStore,
    boundary: Boundary[S],
    query: Query,
    decide: Callable[[S], Mapping[str, Any] | None],
    *,
    patience_s: float = PATIENCE_S,
) -> Transacted[S]:
    """The same over all events that match a query: `decide` returns events by stream.

    They are appended only if nothing that matches came in between, in whatever stream; else it decides again. The decided events need not
    match, but only those that do are seen by the next decision: give them the query's tags.
    """
    return store.deciding.decider.transact(Queried(store.deciding.loader, boundary, boundary.asked(query)), decide, patience_s)

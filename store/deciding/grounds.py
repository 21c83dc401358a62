"""The grounds that there are: one aggregate, several at once, a boundary with its query."""

from __future__ import annotations

import inspect
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Generic, TypeVar

from store.deciding.aggregate import Aggregate
from store.deciding.boundary import Boundary, Matched
from store.deciding.fold import Folding, decode_rows, fold_decoded
from store.deciding.ground import Standing, Written
from store.deciding.loader import Loader
from store.deciding.states import Known
from store.draft import Draft, Row
from store.errors import InvalidEventError
from store.event import Event
from store.event_types.event_types import EventTypes
from store.privacy.confidant import Confidant
from store.privacy.key import KeyId
from store.privacy.token import tokens
from store.query import Query

S = TypeVar("S")


@dataclass(frozen=True, slots=True)
class OneStream(Generic[S]):
    """`decide` is given the aggregate's state and returns its events."""

    loader: Loader
    aggregate: Aggregate[S]
    stream_id: str

    @property
    def key(self) -> Hashable:
        return self.aggregate, self.stream_id

    @property
    def told(self) -> str:
        return f"stream {self.stream_id!r}"

    def stand(self) -> Standing[S]:
        known = self.loader.load(self.aggregate, self.stream_id, 0.0)
        return Standing(known.state, {self.stream_id: known.version}, known)

    def decided(self, outcome: Any) -> Mapping[str, Sequence[Event]]:
        return {self.stream_id: _events(self.aggregate.types, outcome)}

    def evolve(self, state: S, drafts: Sequence[Draft]) -> S:
        return _evolved(self.loader.privacy, self.aggregate, state, [row for draft in drafts for row in draft.rows])

    def settle(self, before: Standing[S], state: S, written: Sequence[Written]) -> None:
        for one in written:
            self.loader.decided(self.aggregate, self.stream_id, _after(before.basis, state, one))


@dataclass(frozen=True, slots=True)
class ManyStreams:
    """`decide` is given one state for each aggregate, and returns a list of events for each, in the same order."""

    loader: Loader
    targets: Sequence[tuple[Aggregate[Any], str]]
    """(aggregate, stream id), each stream once."""

    @property
    def key(self) -> Hashable:
        return tuple(self.targets)

    @property
    def told(self) -> str:
        return "streams " + ", ".join(repr(stream_id) for _, stream_id in self.targets)

    def stand(self) -> Standing[tuple[Any, ...]]:
        known = [self.loader.load(aggregate, stream_id, 0.0) for aggregate, stream_id in self.targets]
        expected = {stream_id: one.version for (_, stream_id), one in zip(self.targets, known, strict=True)}
        return Standing(tuple(one.state for one in known), expected, known)

    def decided(self, outcome: Any) -> Mapping[str, Sequence[Event]]:
        if outcome is None:
            return {}
        if not isinstance(outcome, list | tuple) or len(outcome) != len(self.targets):
            wanted = f"one list of events for each of the {len(self.targets)} aggregates, in their order"
            raise InvalidEventError("decide", outcome, f"is not {wanted}", "return an empty list for one without events")
        return {stream_id: _events(aggregate.types, events) for (aggregate, stream_id), events in zip(self.targets, outcome, strict=True)}

    def evolve(self, state: tuple[Any, ...], drafts: Sequence[Draft]) -> tuple[Any, ...]:
        rows = {draft.stream_id: draft.rows for draft in drafts}
        each = zip(self.targets, state, strict=True)
        return tuple(_evolved(self.loader.privacy, aggregate, one, rows.get(stream_id, ())) for (aggregate, stream_id), one in each)

    def settle(self, before: Standing[tuple[Any, ...]], state: tuple[Any, ...], written: Sequence[Written]) -> None:
        places = {one.part.stream_id: one for one in written}
        for (aggregate, stream_id), known, after in zip(self.targets, before.basis, state, strict=True):
            if stream_id in places:
                self.loader.decided(aggregate, stream_id, _after(known, after, places[stream_id]))


@dataclass(frozen=True, slots=True)
class Queried(Generic[S]):
    """`decide` is given the boundary's state and returns events by stream. They stand if nothing that matches was appended meanwhile."""

    loader: Loader
    boundary: Boundary[S]
    query: Query

    @property
    def key(self) -> Hashable:
        return self.boundary, self.query

    @property
    def told(self) -> str:
        return f"events that match {self.query}"

    def stand(self) -> Standing[S]:
        matched = self.loader.match(self.boundary, self.query)
        return Standing(matched.state, {}, matched, self.query, matched.position)

    def decided(self, outcome: Any) -> Mapping[str, Sequence[Event]]:
        if outcome is None:
            return {}
        if not isinstance(outcome, Mapping):
            raise InvalidEventError("decide", outcome, "is not a dict", "return the events by stream: {stream_id: [event, ...]}")
        return {stream_id: _events(self.boundary.types, events) for stream_id, events in outcome.items()}

    def evolve(self, state: S, drafts: Sequence[Draft]) -> S:
        rows = [row for draft in drafts for row in draft.rows if self.query.matches(row[2], row[7])]
        return _evolved(self.loader.privacy, self.boundary, state, rows)

    def settle(self, before: Standing[S], state: S, written: Sequence[Written]) -> None:
        # Nothing that matches came in between: that is what the append was guarded by.
        rows = [row for one in written for row in one.part.rows if self.query.matches(row[2], row[7])]
        events, data_bytes = before.basis.events + len(rows), before.basis.data_bytes + sum(len(row[8]) for row in rows)
        position, keys = max(one.appended.position for one in written), before.basis.keys | _keys(rows)
        self.loader.matched(self.boundary, Matched(self.query, state, position, events, data_bytes, before.basis.checked_s, keys))


def _events(types: EventTypes, outcome: Any) -> list[Event]:
    """What was decided for one stream: nothing, one event or several, made or of a registered type."""
    if outcome is None:
        return []
    if isinstance(outcome, Event) or type(outcome) in types:
        outcome = [outcome]
    if not isinstance(outcome, list | tuple):
        remedy = "return objects of registered types or Events: one, a list of them, or None"
        if inspect.iscoroutine(outcome):
            outcome.close()                        # it is told here, and once
            remedy = "decide must not be async: load what it needs before, and let it only decide"
        raise InvalidEventError("decide", outcome, f"is of the class {type(outcome).__name__}, which is no event", remedy)
    return [value if isinstance(value, Event) else types.event(value) for value in outcome]


def _evolved(privacy: Confidant, folding: Folding[S], state: S, rows: Sequence[Row]) -> S:
    """By the events as they will be read, not by the objects that were decided: what JSON makes of these is what counts."""
    return fold_decoded(folding, state, decode_rows(folding, rows, privacy.open_text), "the events just decided")


def _after(known: Known, state: Any, written: Written) -> Known:
    part, appended = written
    data_bytes, keys = sum(len(row[8]) for row in part.rows), known.keys | _keys(part.rows)
    after = replace(known, state=state, version=appended.version, position=appended.position, event_id=part.event_ids[-1])
    return replace(after, tail_bytes=known.tail_bytes + data_bytes, keys=keys)


def _keys(rows: Sequence[Row]) -> frozenset[KeyId]:
    """Of the personal data in rows that were just sealed."""
    return frozenset(token.id for row in rows for token in tokens(row[8]))

"""The loop that brings about what follows from events: effects first, then the mark."""

from __future__ import annotations

import threading
import time
import uuid
from collections import Counter
from collections.abc import Iterator, Sequence, Set
from contextlib import suppress
from dataclasses import dataclass, replace
from itertools import groupby
from typing import Any, Final

import pyarrow as pa
import pyarrow.compute as pc

from projections.errors import ApplyError, CheckpointBeyondHeadError, EffectError, ProjectionError, SupersededError
from projections.forms.handlers import by_name
from projections.models.model import Model, Turn
from projections.place import Place, Places
from projections.reactors.reactor import Effect, Reactor
from projections.reactors.target import Call, insist
from projections.running.batches import Bounds, batches, newest
from store import (
    Append,
    Event,
    EventStore,
    OutcomeUnknownError,
    RawEvent,
    StorageError,
    StoreClosedError,
    StoreError,
    UnreadableEventError,
    correlated,
)

MARKED_EVENTS: Final = 100
"""The mark moves after so many events that had effects, at most: so many a crash repeats."""
MARKED_S: Final = 1.0
"""Where effects are slow it moves after the first of them that ends so long after it moved last."""
_NAMESPACE: Final = uuid.UUID(bytes=b"alluvium:effects")
UNSETTLED: Final = (StorageError, StoreClosedError, OutcomeUnknownError)
"""The log itself cannot be had just now, which says nothing against an effect."""


@dataclass(frozen=True, slots=True)
class Reacted:
    """What a run did: events reacted to, effects brought about, and the position it reached."""

    events: int
    effects: int
    checkpoint: int


def react(store: EventStore, reactor: Reactor, mark: Model, *, stop: threading.Event | None = None) -> Reacted:
    """Bring about what follows from every event between the mark and the head at the call; `stop` ends it after the event under way.

    `mark` is a model of `reactor.mark`. Whatever ends a run, events before the mark are never reacted to again, and none is left out; those
    since it last moved (see MARKED_EVENTS and MARKED_S) are reacted to once more, under the same ids and keys. Of two runners at once each may
    make the same call. EffectError: run again later. ApplyError: a handler failed, or an effect was refused; mend it. With both the
    mark is halted before that event. CheckpointMovedError: another runner is at it. SupersededError: a newer version is.
    """
    turn, head = mark.turn(), store.head()
    if turn.checkpoint > head:
        raise CheckpointBeyondHeadError(mark.uri, turn.checkpoint, head)
    _take_over(turn, reactor, head)
    run = _Run(store, reactor, turn)
    try:
        for events, reached in batches(store, reactor.reads, turn.checkpoint, head, Bounds(1_000)):
            if run.react_to(events, stop):
                run.move_mark(reached)
            else:
                break
    except ProjectionError as error:
        with suppress(ProjectionError, StoreError):    # it is told below in any case
            turn.halt(str(error))
        raise
    return Reacted(run.events, run.effects, turn.checkpoint)


def derived_id(*of: object) -> str:
    """The event id that always follows from these."""
    return str(uuid.uuid5(_NAMESPACE, "/".join(map(str, of))))


def derived(events: Sequence[Event], *of: object) -> list[Event]:
    """The same events under ids that follow from these, and from their order."""
    return [replace(event, event_id=derived_id(*of, number)) for number, event in enumerate(events)]


def _take_over(turn: Turn, reactor: Reactor, head: int) -> None:
    """Record that from now on this version, with this code, goes on from the mark. The first of all begins where it is declared to."""
    found = turn.rows(pa.table({"reactor": [reactor.name]})).to_pylist()
    if not found:
        _record(turn, reactor, head if reactor.after is None else min(reactor.after, head))
        return
    [row] = found
    if row["version"] > reactor.version:
        raise SupersededError(reactor.name, reactor.version, row["version"])
    if (row["version"], row["fingerprint"]) != (reactor.version, reactor.code):
        _record(turn, reactor, turn.checkpoint)


def _record(turn: Turn, reactor: Reactor, after: int) -> None:
    row = {"reactor": reactor.name, "version": reactor.version, "after": after, "fingerprint": reactor.code}
    turn.commit(pa.Table.from_pylist([row], schema=reactor.mark.columns), after)


class _Run:
    """One run of a reactor, on the way from its mark to the head."""

    def __init__(self, store: EventStore, reactor: Reactor, turn: Turn) -> None:
        self.events = self.effects = 0
        self._store, self._reactor, self._turn = store, reactor, turn
        self._on = by_name(reactor.on, reactor.event_types)
        self._reached, self._unmarked, self._marked_s = turn.checkpoint, 0, time.monotonic()

    def react_to(self, events: pa.Table, stop: threading.Event | None) -> bool:
        """Was it not stopped? Whatever ends it, the mark stands behind the last event whose effects are all there."""
        try:
            personal = self._store.privacy.values(events)
            for place, pieces in self._causes(events):
                if stop is not None and stop.is_set():
                    return False
                before = self.effects
                with correlated(place.correlation_id or place.event_id, place.event_id):
                    self._bring_about(place, pieces, personal.get(place.position, frozenset()))
                self.events, self._reached = self.events + 1, place.position
                self._unmarked += self.effects > before
                if self._unmarked and (self._unmarked >= MARKED_EVENTS or time.monotonic() - self._marked_s >= MARKED_S):
                    self.move_mark(self._reached)
        finally:
            if self._reached > self._turn.checkpoint and self._unmarked:
                self.move_mark(self._reached)
        return True

    def move_mark(self, position: int) -> None:
        self._unmarked, self._marked_s = 0, time.monotonic()
        if position > self._turn.checkpoint:
            self._turn.commit(self._reactor.mark.columns.empty_table(), position)

    def _causes(self, events: pa.Table) -> Iterator[tuple[Place, list[tuple[Any, Place]]]]:
        """Each recorded event with what it reads as: a split one as several. One that cannot be read ends them, after all before it."""
        try:
            seen = newest(self._reactor.reads, events)
            read = list(zip(self._reactor.event_types.decode(self._store.privacy.open(seen)), Places(seen), strict=True))
        except UnreadableEventError as error:
            position = int(error.position or 0)
            yield from self._causes(events.filter(pc.less(events["position"], position)))
            secret = position in self._store.privacy.values(events)      # a class shows what it was given, or parts of it
            problem = error.outline if secret else str(error)
            raise ApplyError(self._reactor.name, position, position, problem, stream_id=error.stream_id, type=error.type) from error
        for _, pieces in groupby(read, key=lambda piece: piece[1].position):
            together = list(pieces)
            yield together[0][1], together

    def _bring_about(self, cause: Place, pieces: list[tuple[Any, Place]], personal: Set[str]) -> None:
        """`personal`: what of the event is encrypted in the log, and must not come there by another event."""
        streams: Counter[str] = Counter()              # numbered by stream: an effect more or less elsewhere does not change the ids
        calls = 0
        try:
            for event, place in pieces:
                if event.__class__ is RawEvent:
                    raise ValueError(f"it is of schema version {event.schema_version}, which this code does not know: run newer code")
                for effect in self._on[place.type](event, place) or ():
                    if isinstance(effect, Append):
                        self._refuse_plain(effect, personal)
                        self._append(cause, effect, streams[effect.stream_id])
                        streams[effect.stream_id] += 1
                    else:
                        self._call(cause, effect, calls, personal)
                        calls += 1
                    self.effects += 1
        except (ProjectionError, *UNSETTLED):
            raise
        except Exception as error:                     # the handler is the user's: it may raise anything
            told = {"stream_id": cause.stream_id, "type": cause.type, "correlation_id": cause.correlation_id}
            problem = self._hidden(str(error) if type(error) is ValueError else f"{type(error).__name__}: {error}", personal)
            raise ApplyError(self._reactor.name, cause.position, cause.position, problem, **told) from error

    def _refuse_plain(self, effect: Append, personal: Set[str]) -> None:
        """ValueError, which does not tell the value: it would be in the log for good."""
        for event in effect.events:
            told = self._store.privacy.tells(event, personal)
            if told:
                remedy = "declare it there (EventType(personal=…), Saga(subject=…)), or append an id instead"
                raise ValueError(f"a personal value of it would stand in {event.type!r} of {effect.stream_id!r}, where none was declared: {remedy}")

    def _append(self, cause: Place, effect: Append, number: int) -> None:
        events = derived(effect.events, self._reactor.name, cause.event_id, effect.stream_id, number)
        self._store.append_many([replace(effect, events=events)])

    def _call(self, cause: Place, effect: Effect, number: int, personal: Set[str]) -> None:
        if not isinstance(effect, Call):
            raise TypeError(f"{self._hidden(repr(effect), personal)[:200]} is no effect: give an Append or a Call")
        key = f"{self._reactor.name}:{cause.event_id}:{number}"
        try:
            insist(lambda: effect.target(*effect.args, idempotency_key=key), self._reactor.patience_s, effect.target.refusals)
        except effect.target.refusals:
            raise
        except Exception as error:
            problem = self._hidden(f"{type(error).__name__}: {error}", personal)
            raise EffectError(self._reactor.name, cause.position, cause.stream_id, problem) from error

    def _hidden(self, problem: str, personal: Set[str]) -> str:
        """What a mark keeps of an error is there for good, so nothing personal stands in it."""
        return self._store.privacy.hidden(problem, personal)

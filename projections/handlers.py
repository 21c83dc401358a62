"""The handlers form of a projection: Python functions by event type, over one row a key."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import Any, ClassVar, Final, TypeAlias

import pyarrow as pa

from projections.errors import ApplyError, Fault
from projections.form import Changes, Declared, Touched
from projections.place import Place
from projections.row_shape import RowShape, fields_of
from store import EventTypes, RawEvent

Handler: TypeAlias = Callable[[Any, Any, Place], Any]
"""(row or None, event, its place) -> the row from now on, or None: there is none."""

_REFUSALS: Final = (ValueError, OverflowError, TypeError)
"""What Arrow raises for values that it cannot hold."""


@dataclass(frozen=True, slots=True)
class Handlers:
    """`on` says for each event type, by its class or its name, what an event does to the row of its key.

    `key(event, place)` gives that key: one value, or a tuple of them in the order of the projection's key. A handler gets
    None where there is no row, and may change a row in place. Rows are dicts of all columns, or objects of the class
    `row` (a dataclass or msgspec Struct) with the columns as its fields. Handlers read the types they are for, so the
    projection needs `event_types` and no `types`. They depend on what they are given alone: a rebuild runs them again.
    """

    engine: ClassVar[str] = "python"

    on: Mapping[type | str, Handler]
    key: Callable[[Any, Place], Any]
    row: type = dict

    def faults(self, declared: Declared) -> Iterator[Fault]:
        if declared.event_types is None:
            yield Fault("event_types", "is None", "give the EventTypes that make objects of the events")
            return
        if declared.types is not None:
            yield Fault("types", f"is {declared.types!r}", "leave it out: handlers read the types they are for")
        yield from self._faults_of_functions(declared.event_types)
        if self.row is not dict and (names := fields_of(self.row) or []) != declared.columns.names:
            problem = f"{self.row.__name__} has the fields {', '.join(names) or '(none that one could tell)'}"
            yield Fault("row", problem, f"give a dataclass or msgspec Struct with {', '.join(declared.columns.names)}, in this order")

    def reads(self, declared: Declared) -> tuple[str, ...]:
        return tuple(self.by_name(declared))

    def open(self, declared: Declared) -> AbstractContextManager[HandlersFold]:
        return nullcontext(HandlersFold(self, declared))

    def by_name(self, declared: Declared) -> dict[str, Handler]:
        """The handlers by the names of their types."""
        names = _names(declared.event_types or ())
        return {names[of]: handler for of, handler in self.on.items()}

    def _faults_of_functions(self, event_types: EventTypes) -> Iterator[Fault]:
        names = _names(event_types)
        if not self.on:
            yield Fault("on", "is empty", "give a function for at least one event type")
        for of in self.on:
            if of not in names:
                yield Fault("on", f"has {of!r}, which the event types do not know", f"take one of {', '.join(event.name for event in event_types)}")
        if len({names[of] for of in self.on}) < len(self.on):
            yield Fault("on", "has a type by its class and by its name", "give one function for each type")
        for of, handler in self.on.items():
            if not _takes(handler, 3):
                yield Fault(f"handler of {of!r}", "cannot be called with three arguments", "let it take (row, event, place)")
        if not _takes(self.key, 2):
            yield Fault("key of the handlers", "cannot be called with two arguments", "let it take (event, place)")


class HandlersFold:
    """The handlers at work. ApplyError names the very event."""

    def __init__(self, form: Handlers, declared: Declared) -> None:
        assert declared.event_types is not None
        self._name, self._key, self._types = declared.name, form.key, declared.event_types
        self._handlers = form.by_name(declared)
        self._shape = RowShape(declared.columns, declared.key, form.row)

    def touched(self, events: pa.Table) -> Touched:
        decoded, places = self._types.decode(events), Place.each(events)
        keys: list[Any] = []
        try:
            for event, place in zip(decoded, places, strict=True):
                if event.__class__ is RawEvent:
                    raise ValueError(f"it is of schema version {event.schema_version}, which this code does not know: run newer code")
                key = self._key(event, place)
                self._shape.check_key(key)
                keys.append(key)
        except Exception as error:  # the function is the user's: it may raise anything
            raise self._failed(places[len(keys)], "its key", error) from error
        distinct = list(dict.fromkeys(keys))
        return Touched(self._table(self._shape.keys, distinct, keys, places), lambda current: self._changes(current, decoded, keys, places))

    def _changes(self, current: pa.Table, decoded: Sequence[Any], keys: Sequence[Any], places: Sequence[Place]) -> Changes:
        there = {self._shape.key_of(row): row for row in self._shape.read(current)}
        rows = dict(there)
        self._handle(rows, decoded, keys, places)
        gone = [key for key in there if key not in rows]
        put = self._table(lambda chosen: self._shape.table(map(rows.__getitem__, chosen)), list(rows), keys, places)
        return Changes(put, self._shape.keys(gone))

    def _handle(self, rows: dict[Any, Any], decoded: Sequence[Any], keys: Sequence[Any], places: Sequence[Place]) -> None:
        """The loop that every event goes through."""
        handlers, check, place = [self._handlers[place.type] for place in places], self._shape.check, places[0]
        try:
            for handler, event, key, place in zip(handlers, decoded, keys, places, strict=True):
                row = handler(rows.get(key), event, place)
                if row is None:
                    rows.pop(key, None)
                else:
                    check(row, key)
                    rows[key] = row
        except Exception as error:  # as above
            raise self._failed(place, "its handler", error) from error

    def _table(self, made: Callable[[Sequence[Any]], pa.Table], distinct: Sequence[Any], keys: Sequence[Any], places: Sequence[Place]) -> pa.Table:
        """A table of one row a key; if Arrow refuses it, the last event of the key whose row it is is to blame."""
        try:
            return made(distinct)
        except _REFUSALS as error:
            blamed = next(key for key in distinct if _is_refused(made, key))
            place = next(place for place, key in zip(reversed(places), reversed(keys), strict=True) if key == blamed)
            raise self._failed(place, "its row", error) from error

    def _failed(self, place: Place, what: str, error: Exception) -> ApplyError:
        problem = str(error) if type(error) is ValueError else f"{type(error).__name__}: {error}"
        told = {"stream_id": place.stream_id, "type": place.type, "correlation_id": place.correlation_id}
        return ApplyError(self._name, place.position, place.position, f"{what}: {problem}", **told)


def _names(event_types: EventTypes | tuple[()]) -> dict[type | str, str]:
    """The name of each type, by its class and by its name."""
    return {of: event_type.name for event_type in event_types for of in (event_type.cls, event_type.name)}


def _takes(function: Any, count: int) -> bool:
    try:
        inspect.signature(function).bind(*[None] * count)
    except TypeError:
        return False
    except ValueError:  # one written in C may tell nothing of its arguments
        return callable(function)
    return True


def _is_refused(made: Callable[[Sequence[Any]], pa.Table], key: Any) -> bool:
    try:
        made([key])
    except _REFUSALS:
        return True
    return False

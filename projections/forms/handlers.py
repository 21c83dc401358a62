"""The handlers form of a projection: Python functions by event type, over one row a key."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import Any, ClassVar, TypeVar

from projections.errors import Fault
from projections.forms.form import Declared
from projections.forms.handlers_fold import Handler, HandlersFold
from projections.forms.row_shape import fields_of
from projections.place import Place
from store import EventTypes

H = TypeVar("H")


@dataclass(frozen=True, slots=True)
class Handlers:
    """`on` says for each event type, by its class or its name, what an event does to the row of its key.

    `key(event, place)` gives that key: one value, or a tuple of them in the order of the projection's key. A handler gets
    None where there is no row, and may change a row in place. Rows are dicts of all columns, or objects of the class
    `row` (a dataclass or msgspec Struct) with the columns as its fields. Handlers read the types they are for, so the
    projection needs `event_types` and no `types`. They depend on what they are given alone: a rebuild runs them again.
    An event whose payload was erased is passed over.
    """

    engine: ClassVar[str] = "python"
    sees_erased: ClassVar[bool] = False

    on: Mapping[type | str, Handler]
    key: Callable[[Any, Place], Any]
    row: type = dict

    def faults(self, declared: Declared) -> Iterator[Fault]:
        if declared.event_types is None:
            yield Fault("event_types", "is None", "give the EventTypes that make objects of the events")
            return
        if declared.types is not None:
            yield Fault("types", f"is {declared.types!r}", "leave it out: handlers read the types they are for")
        yield from faults_of(self.on, declared.event_types, ("row", "event", "place"))
        if not _takes(self.key, 2):
            yield Fault("key of the handlers", "cannot be called with two arguments", "let it take (event, place)")
        if self.row is not dict and (names := fields_of(self.row) or []) != declared.columns.names:
            problem = f"is {self.row!r}, with the fields {', '.join(names) or '(none that one could tell)'}"
            yield Fault("row", problem, f"give a dataclass or msgspec Struct with {', '.join(declared.columns.names)}, in this order")

    def reads(self, declared: Declared) -> tuple[str, ...]:
        return tuple(self._by_name(declared))

    def at_once(self, declared: Declared, chosen: str) -> None:
        """They see batches."""

    def determined_by(self) -> tuple[object, ...]:
        return {of if isinstance(of, str) else of.__qualname__: handler for of, handler in self.on.items()}, self.key, self.row

    def open(self, declared: Declared) -> AbstractContextManager[HandlersFold]:
        assert declared.event_types is not None
        return nullcontext(HandlersFold(declared, declared.event_types, self._by_name(declared), self.key, self.row))

    def _by_name(self, declared: Declared) -> dict[str, Handler]:
        return by_name(self.on, declared.event_types or ())


def by_name(on: Mapping[type | str, H], event_types: EventTypes | tuple[()]) -> dict[str, H]:
    """The handlers by the names of their types."""
    names = _names(event_types)
    return {names[of]: handler for of, handler in on.items()}


def faults_of(on: Mapping[type | str, Callable[..., Any]], event_types: EventTypes, arguments: Sequence[str]) -> Iterator[Fault]:
    """What is wrong with handlers that are called with these arguments."""
    names = _names(event_types)
    if not on:
        yield Fault("on", "is empty", "give a function for at least one event type")
    for of in on:
        if of not in names:
            yield Fault("on", f"has {of!r}, which the event types do not know", f"take one of {', '.join(event.name for event in event_types)}")
    if len({names[of] for of in on}) < len(on):
        yield Fault("on", "has a type by its class and by its name", "give one function for each type")
    for of, handler in on.items():
        if not _takes(handler, len(arguments)):
            yield Fault(f"handler of {of!r}", f"cannot be called with {len(arguments)} arguments", f"let it take ({', '.join(arguments)})")


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

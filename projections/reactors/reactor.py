"""A reactor as declared data: which events it reacts to, and which effects follow from them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from typing import Any, ClassVar, Final, TypeAlias

import pyarrow as pa

from projections.errors import DeclarationError, Fault
from projections.forms.form import Declared, Fold
from projections.forms.handlers import by_name, faults_of
from projections.models.fingerprint import fingerprint
from projections.place import Place
from projections.projection import Projection
from projections.reactors.target import PATIENCE_S, Call
from store import Append, EventTypes

Effect: TypeAlias = Append | Call
Reaction: TypeAlias = Callable[[Any, Place], Iterable[Effect] | None]
"""(event, its place) -> the effects, in order; or None."""

MARK_COLUMNS: Final = pa.schema({"reactor": pa.string(), "version": pa.int32(), "after": pa.int64(), "fingerprint": pa.string()})


@dataclass(frozen=True, slots=True, kw_only=True)
class Reactor:
    """`on` says for each event type, by its class or its name, which effects follow from an event.

    A handler may be asked again after a crash, and must then give the same effects: let it depend on the event, and on the log up to
    `place.position` at most. An `Append` is exactly once: the ids of its events are derived from the reactor's name and the event. A
    `Call` is at least once, with the same idempotency key each time.

    `after`: the position past which the very first run begins; None: at the head of the log, so that nothing old is reacted to. From then on
    the mark alone says what was reacted to: `version` is for people, and a new one goes on where the old one was.
    `patience_s`: so long a call is tried again before the run ends. DeclarationError: a wrong declaration, with the remedy.
    """

    name: str
    version: int
    on: Mapping[type | str, Reaction]
    event_types: EventTypes
    categories: tuple[str, ...] | None = None
    after: int | None = None
    patience_s: float = PATIENCE_S
    description: str = ""
    reads: Projection = field(init=False, repr=False, compare=False)
    """What it reads, and in which shapes."""
    mark: Projection = field(init=False, repr=False, compare=False)
    """What its mark is a model of: `ReadModel.under(warehouse, reactor.mark)`. One row: which version began after which position."""
    code: str = field(init=False, repr=False, compare=False)
    """The fingerprint of its handlers, kept beside the mark for people."""

    def __post_init__(self) -> None:
        if self.after is not None and (isinstance(self.after, bool) or not isinstance(self.after, int) or self.after < 0):
            raise DeclarationError(self.name, Fault("after", f"is {self.after!r}", "give a position, 0 for the whole log, or None for what comes"))
        object.__setattr__(self, "reads", self._declared(self.version, Reactions(self.on), self.event_types, self.categories))
        # Its fingerprint and place must not change with the code or the version: what was reacted to stays so.
        object.__setattr__(self, "mark", self._declared(1, Kept(), None, None))
        object.__setattr__(self, "code", fingerprint(self.reads))

    def _declared(self, version: int, form: Reactions | Kept, event_types: EventTypes | None, categories: tuple[str, ...] | None) -> Projection:
        return Projection(
            name=f"reactor_{self.name}",
            version=version,
            key=("reactor",),
            columns=MARK_COLUMNS,
            form=form,
            event_types=event_types,
            categories=categories,
            description=self.description,
        )


@dataclass(frozen=True, slots=True)
class Kept:
    """The form of a mark: no events become rows."""

    engine: ClassVar[str] = "python"
    sees_erased: ClassVar[bool] = False

    def faults(self, declared: Declared) -> Iterator[Fault]:
        return iter(())

    def reads(self, declared: Declared) -> tuple[str, ...] | None:
        return ()

    def at_once(self, declared: Declared, chosen: str) -> None:
        return None

    def determined_by(self) -> tuple[object, ...]:
        return ()

    def open(self, declared: Declared) -> AbstractContextManager[Fold]:
        raise DeclarationError(declared.name, Fault("form", "makes no rows of events", "give the mark to `react`, with its reactor"))


@dataclass(frozen=True, slots=True)
class Reactions(Kept):
    """The form of what a reactor reads."""

    on: Mapping[type | str, Reaction]

    def faults(self, declared: Declared) -> Iterator[Fault]:
        if declared.event_types is None:
            yield Fault("event_types", "is None", "give the EventTypes that make objects of the events")
        else:
            yield from faults_of(self.on, declared.event_types, ("event", "place"))

    def reads(self, declared: Declared) -> tuple[str, ...]:
        return tuple(by_name(self.on, declared.event_types or ()))

    def determined_by(self) -> tuple[object, ...]:
        return ({of if isinstance(of, str) else of.__qualname__: reaction for of, reaction in self.on.items()},)

"""A saga as declared data: steps in order, and how each is undone when a later one fails."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, TypeAlias

from projections.errors import DeclarationError, Fault
from projections.reactors.saga_events import Progress, SagaResumed, SagaStarted, evolve, recorded, saga_events
from projections.reactors.target import PATIENCE_S
from store import Aggregate, Append

_NAME: Final = re.compile(r"[a-z][a-z0-9_]*")

Do: TypeAlias = Callable[[Mapping[str, Any], str], Mapping[str, Any] | Append | None]
"""(data, key) -> what to add to the data, as JSON holds it; or an append, made in one commit with the record that the step is done; or None."""
Undo: TypeAlias = Callable[[Mapping[str, Any], str], Append | None]
"""(data, key of what was done) -> an append, made in one commit with the record that the step is undone; or None."""


@dataclass(frozen=True, slots=True)
class Step:
    """Both functions may be called again after a crash, with the same data and the same `key`, which no other step has.

    `refusals`: errors by which `do` says that it never will; after any other error it is tried again, as long as there is patience. A step
    that failed is undone itself, too, since an error does not prove that nothing was done: `undo` must put up with having nothing to undo,
    and with data that lack the step's result. Without `undo` there is nothing to be taken back.
    """

    name: str
    do: Do
    undo: Undo | None = None
    refusals: tuple[type[Exception], ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Saga:
    """Steps done in order; when one fails for good, those before it are undone in reverse order.

    Its progress is the stream `saga_<name>-<key>`: a run that was cut off goes on from there, forward or backward. `patience_s`: so long a
    step is tried again and again. Steps are known by their names: one that has begun finds them in whatever order they are now.

    `subject`: data -> of whom it tells, if it is personal: then data, results and reasons are encrypted by that subject's key, and a saga of
    somebody who was forgotten goes on with nothing. What steps append is theirs to declare. DeclarationError: a wrong declaration, with the remedy.
    """

    name: str
    steps: tuple[Step, ...]
    patience_s: float = PATIENCE_S
    subject: Callable[[Mapping[str, Any]], str] | None = None
    progress: Aggregate[Progress] = field(init=False, repr=False, compare=False)
    """`load(store, saga.progress, key).state` tells where one stands."""

    def __post_init__(self) -> None:
        for fault in self._faults():
            raise DeclarationError(self.name, fault)
        progress = Aggregate(category=f"saga_{self.name}", initial=Progress(), evolve=evolve, types=saga_events)
        object.__setattr__(self, "progress", progress)

    def begin(self, key: str, data: Mapping[str, Any]) -> Append:
        """The effect that begins it. One key begins one saga, ever: begun again, from wherever, nothing happens."""
        subject = None if self.subject is None else self.subject(data)
        return Append(self.progress.stream_id(key), [recorded(SagaStarted(dict(data)), subject)])

    def resume(self, key: str) -> Append:
        """The append that lets one that is stuck go on, when what kept it from being undone is mended."""
        return Append(self.progress.stream_id(key), [saga_events.event(SagaResumed())])

    def step(self, name: str) -> Step | None:
        return next((step for step in self.steps if step.name == name), None)

    def _faults(self) -> Iterator[Fault]:
        if not _NAME.fullmatch(self.name):
            yield Fault("name", "is no name", "take lower-case letters, digits and underscores; it names a category of streams")
        if not self.steps:
            yield Fault("steps", "are none", "give at least one Step")
        names = [step.name for step in self.steps]
        for name in sorted({name for name in names if names.count(name) > 1}):
            yield Fault("steps", f"have {name!r} twice", "give each step a name of its own")
        for step in self.steps:
            for what, function in (("do", step.do), ("undo", step.undo)):
                if function is not None and not _takes_data_and_key(function):
                    yield Fault(f"{what} of step {step.name!r}", "cannot be called with two arguments", "let it take (data, key)")


def _takes_data_and_key(function: Any) -> bool:
    try:
        inspect.signature(function).bind({}, "")
    except TypeError:
        return False
    except ValueError:                             # one written in C may tell nothing of its arguments
        return callable(function)
    return True

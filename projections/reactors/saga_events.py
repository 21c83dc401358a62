"""What is recorded of a saga's progress, in a stream of its own, and where it stands after these events."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any, Final, Literal

import msgspec
from msgspec.structs import replace

from store import Event, EventType, EventTypes, Personal

FORGOTTEN: Final = "[forgotten]"

Phase = Literal["unknown", "forward", "backward", "completed", "compensated", "stuck"]


class SagaStarted(msgspec.Struct, frozen=True):
    """`data`: what its steps are given, as JSON holds it. `subject`: of whom it tells, here and below, if what it holds is personal."""

    data: dict[str, Any]
    subject: str | msgspec.UnsetType = msgspec.UNSET


class StepDone(msgspec.Struct, frozen=True):
    """`result`: what the step adds to the data."""

    step: str
    result: dict[str, Any] = {}
    subject: str | msgspec.UnsetType = msgspec.UNSET


class StepFailed(msgspec.Struct, frozen=True):
    """For good: refused, or tried for as long as there was patience."""

    step: str
    why: str
    subject: str | msgspec.UnsetType = msgspec.UNSET


class StepUndone(msgspec.Struct, frozen=True):
    step: str


class SagaCompleted(msgspec.Struct, frozen=True):
    """Every step is done."""


class SagaCompensated(msgspec.Struct, frozen=True):
    """A step failed, and what was done before it is undone."""


class SagaStuck(msgspec.Struct, frozen=True):
    """A step could not be undone: a person has to look, and resumes it."""

    step: str
    why: str
    subject: str | msgspec.UnsetType = msgspec.UNSET


class SagaResumed(msgspec.Struct, frozen=True):
    """After it was stuck: the undoing goes on."""


SAGA_TYPES: Final = (SagaStarted, StepDone, StepFailed, StepUndone, SagaCompleted, SagaCompensated, SagaStuck, SagaResumed)

saga_events: Final = EventTypes(*(EventType(cls.__name__, cls) for cls in SAGA_TYPES))
"""Where a store's contract is of types of your own, add these: `EventTypes(*mine, *saga_events)`."""


_PERSONAL: Final[Mapping[type, Mapping[str, Any]]] = {
    SagaStarted: {"data": {}},
    StepDone: {"result": {}},
    StepFailed: {"why": FORGOTTEN},
    SagaStuck: {"why": FORGOTTEN},
}
"""What of a saga's data stands in its records, and what is left of it."""


def recorded(value: Any, subject: str | None, event_id: str | None = None) -> Event:
    """The event of a record. With a subject what it holds of the saga's data is encrypted by their key."""
    if subject is None or (fields := _PERSONAL.get(type(value))) is None:
        return saga_events.event(value, event_id=event_id)
    textless = frozenset(fields) - {"why"}
    event = saga_events.event(replace(value, subject=subject), event_id=event_id)
    return dataclasses.replace(event, personal=Personal(fields, "subject", textless=textless))


class Progress(msgspec.Struct, frozen=True):
    """Where a saga stands. `data`: as it began, with the results of the steps. `undoing`: steps that are still to be undone, the next one last.

    `subject`: of whom its data tells, if that is personal.
    """

    phase: Phase = "unknown"
    data: Mapping[str, Any] = {}
    done: tuple[str, ...] = ()
    undoing: tuple[str, ...] = ()
    failed: str | None = None
    why: str | None = None
    subject: str | None = None


def evolve(now: Progress, event: Any) -> Progress:
    match event:
        case SagaStarted(data, subject) if now.phase == "unknown":      # a key begins one saga, however often it is begun
            return Progress("forward", data, subject=subject or None)
        case StepDone(step, result):
            return replace(now, data={**now.data, **result}, done=(*now.done, step))
        case StepFailed(step, why):                            # a failure may have happened after the fact: it is undone, too
            return replace(now, phase="backward", failed=step, why=why, undoing=(*now.done, step))
        case StepUndone(step):
            return replace(now, undoing=tuple(name for name in now.undoing if name != step))
        case SagaCompleted():
            return replace(now, phase="completed")
        case SagaCompensated():
            return replace(now, phase="compensated")
        case SagaStuck(step, why):
            return replace(now, phase="stuck", why=f"step {step!r} cannot be undone: {why}")
        case SagaResumed() if now.phase == "stuck":
            return replace(now, phase="backward")
    return now

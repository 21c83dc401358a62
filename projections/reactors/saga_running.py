"""A saga at work: one step after another, each recorded before the next, until nothing is left to be done or undone."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import suppress
from copy import deepcopy
from typing import Any

from projections.place import Place
from projections.reactors.reacting import UNSETTLED, derived, derived_id
from projections.reactors.reactor import Reactor
from projections.reactors.saga import Saga, Step
from projections.reactors.saga_events import (
    Progress,
    SagaCompensated,
    SagaCompleted,
    SagaResumed,
    SagaStarted,
    SagaStuck,
    StepDone,
    StepFailed,
    StepUndone,
    recorded,
    saga_events,
)
from projections.reactors.target import insist
from store import Append, EventStore, WrongExpectedVersionError, load

Stuck = Callable[[str, Progress], None]
"""Told of a saga that could not be undone: its key, and where it stands. It may be told twice, and is in the log in any case."""


def saga_reactor(store: EventStore, saga: Saga, stuck: Stuck, *, version: int = 1) -> Reactor:
    """The reactor that runs these sagas, one after another, whoever begins them. `react` or `follow_reactors` runs it, with a mark of its own.

    It begins at position 0: a saga that has begun is run, and one that has ended stays as it is.
    """

    def advance(event: SagaStarted | SagaResumed, place: Place) -> None:
        key = place.stream_id.removeprefix(f"{saga.progress.category}-")
        progress = run(store, saga, key)
        if progress.phase == "stuck":
            stuck(key, progress)

    return Reactor(
        name=f"saga_{saga.name}",
        version=version,
        on={SagaStarted: advance, SagaResumed: advance},
        event_types=saga_events,
        categories=(saga.progress.category,),
        after=0,
        description=f"Runs the sagas {saga.name}.",
    )


def run(store: EventStore, saga: Saga, key: str) -> Progress:
    """Go on with it until it is completed, compensated or stuck. StorageError: the log cannot be had; run again."""
    running = _Running(store, saga, key)
    while (progress := running.read()).phase in ("forward", "backward"):
        with suppress(_Overtaken):                     # another runner took the step; its record says what is next
            running.forward(progress) if progress.phase == "forward" else running.backward(progress)
    return progress


class _Overtaken(Exception):  # noqa: N818
    """Another runner recorded something first; nothing was written."""


class _Running:
    """One saga at the version of its stream that was read last."""

    def __init__(self, store: EventStore, saga: Saga, key: str) -> None:
        self._store, self._saga, self._key = store, saga, key
        self._stream_id, self._version = saga.progress.stream_id(key), 0
        self._subject: str | None = None

    def read(self) -> Progress:
        loaded = load(self._store, self._saga.progress, self._key)
        self._version, self._subject = loaded.version, loaded.state.subject
        return loaded.state

    def forward(self, progress: Progress) -> None:
        """The next step, or the end."""
        step = next((step for step in self._saga.steps if step.name not in progress.done), None)
        if step is None:
            self._record(SagaCompleted())
            return
        try:
            self._insist(lambda: self._do(step, progress), step.refusals)
        except (_Overtaken, *UNSETTLED):
            raise
        except Exception as error:                     # the step is the user's: it may raise anything
            self._record(StepFailed(step.name, _told(error)))

    def backward(self, progress: Progress) -> None:
        """Undo the last step that is not undone yet, or the end."""
        name = next(filter(self._is_to_undo, reversed(progress.undoing)), None)
        if name is None:
            self._record(SagaCompensated())
            return
        if (step := self._saga.step(name)) is None:
            self._record(SagaStuck(name, "this code has no such step: run code that has it"))
            return
        try:
            self._insist(lambda: self._undo(step, progress), ())
        except (_Overtaken, *UNSETTLED):
            raise
        except Exception as error:                     # as above
            self._record(SagaStuck(name, _told(error)))

    def _is_to_undo(self, name: str) -> bool:
        step = self._saga.step(name)
        return step is None or step.undo is not None

    def _insist(self, attempt: Callable[[], None], refusals: tuple[type[Exception], ...]) -> None:
        insist(attempt, self._saga.patience_s, (_Overtaken, *UNSETTLED, *refusals))

    def _do(self, step: Step, progress: Progress) -> None:
        outcome = step.do(deepcopy(progress.data), self._step_key(step))
        if isinstance(outcome, Append):
            self._record(StepDone(step.name), [outcome])
        else:
            self._record(StepDone(step.name, dict(outcome or {})))

    def _undo(self, step: Step, progress: Progress) -> None:
        outcome = step.undo(deepcopy(progress.data), self._step_key(step)) if step.undo is not None else None
        self._record(StepUndone(step.name), [outcome] if outcome is not None else [])

    def _step_key(self, step: Step) -> str:
        return f"{self._stream_id}:{step.name}"

    def _record(self, event: Any, effects: Sequence[Append] = ()) -> None:
        """Append it where the stream was read to end, together with the effects, or nothing."""
        kind = (type(event).__name__, getattr(event, "step", ""), self._version)
        record = recorded(event, self._subject, derived_id(self._stream_id, *kind))
        appends = [Append(one.stream_id, derived(one.events, self._stream_id, *kind), one.expected_version) for one in effects]
        try:
            self._store.append_many([Append(self._stream_id, [record], self._version), *appends])
        except WrongExpectedVersionError as error:
            if any(conflict.stream_id == self._stream_id for conflict in error.conflicts):
                raise _Overtaken from error
            raise                                      # what the step would append does not fit: it is asked again


def _told(error: Exception) -> str:
    return f"{type(error).__name__}: {error}"

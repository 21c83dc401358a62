"""What becomes of events that a projection cannot apply: the run halts there, or their streams are parked and the rest goes on."""

from __future__ import annotations

import traceback
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Final, Protocol

import pyarrow as pa
import pyarrow.compute as pc
from tenacity import Retrying, retry_if_exception_type, stop_after_attempt, wait_random_exponential

from projections.errors import ApplyError
from projections.forms.form import Changes, Fold
from projections.models.dead_letters import LETTERS, DeadLetters, letters_of
from projections.models.model import Model, Turn
from projections.observer import Observer, Parked
from projections.running.applying import apply

ATTEMPTS: Final = 3
"""So often a batch is applied before it counts as failed: code that asks something outside may meet a moment of weakness."""
_FIRST_WAIT_S: Final = 0.02
_LONGEST_WAIT_S: Final = 1.0


class Step(Protocol):
    """Applies batch after batch of one run."""

    def apply(self, events: pa.Table, until: int) -> Changes:
        """What these events, which lead from the turn's checkpoint to `until`, change. ApplyError: nothing, and the run is over."""


class Failing(Protocol):
    """A policy."""

    def begin(self, model: Model, turn: Turn, fold: Fold, observer: Observer) -> Step: ...


@dataclass(frozen=True, slots=True)
class Halt:
    """After so many attempts, with growing waits between them, the run ends at the batch before: nothing is left out. The default."""

    attempts: int = ATTEMPTS

    def begin(self, model: Model, turn: Turn, fold: Fold, observer: Observer) -> Step:
        return _Halting(model, turn, fold, self.attempts)


@dataclass(frozen=True, slots=True)
class Park:
    """After so many attempts an event that fails, and all later ones of its stream, go to the dead letters, in order; the others are applied.

    `most`: of a read model's letters; with more of them something else is wrong, and the run halts.
    """

    letters: DeadLetters
    most: int = 1000
    attempts: int = ATTEMPTS

    def begin(self, model: Model, turn: Turn, fold: Fold, observer: Observer) -> Step:
        return _Parking(self, model, turn, fold, observer)


@dataclass(frozen=True, slots=True)
class _Halting:
    model: Model
    turn: Turn
    fold: Fold
    attempts: int

    def apply(self, events: pa.Table, until: int) -> Changes:
        return _applied(self.model, self.turn, self.fold, events, self.attempts)


@dataclass(slots=True)
class _Parking:
    policy: Park
    model: Model
    turn: Turn
    fold: Fold
    observer: Observer
    _streams: set[str] = field(init=False)
    _count: int = field(init=False)

    def __post_init__(self) -> None:
        there = self.policy.letters.counting(self.model, self.turn)
        self._streams, self._count = set(there["stream_id"].to_pylist()), len(there)

    def apply(self, events: pa.Table, until: int) -> Changes:
        behind = pc.is_in(events["stream_id"], value_set=pa.array(sorted(self._streams), pa.string()))
        letters, rest = [self._parked(events.filter(behind), None)], events.filter(pc.invert(behind))
        while True:
            try:
                changes = _applied(self.model, self.turn, self.fold, rest, self.policy.attempts)
                break
            except ApplyError as error:
                culprit = _culprit(self.model, self.turn, self.fold, rest, error)
                poisoned = pc.and_(pc.equal(rest["stream_id"], culprit["stream_id"]), pc.greater_equal(rest["position"], culprit["position"]))
                letters.append(self._parked(rest.filter(poisoned), error))
                self._refuse_too_many(sum(map(len, letters)), error)
                rest = rest.filter(pc.invert(poisoned))
        parked = pa.concat_tables(letters)
        # Before the rows are committed: a letter beyond the checkpoint does not count, so a crash between the two loses and repeats nothing.
        self.policy.letters.put(self.model, parked, self.turn.checkpoint, until)
        streams = set(parked["stream_id"].to_pylist())
        self._streams |= streams
        self._count += len(parked)
        if streams:
            self.observer.record(Parked(self.model.projection.name, len(parked), len(streams)))
        return changes

    def _parked(self, events: pa.Table, error: ApplyError | None) -> pa.Table:
        if not len(events):
            return LETTERS.empty_table()
        failed = [error is not None, *[False] * (len(events) - 1)]
        told = ["" if error is None else error.problem, *[""] * (len(events) - 1)]
        trace = ["" if error is None else "".join(traceback.format_exception(error.__cause__ or error)), *[""] * (len(events) - 1)]
        return letters_of(self.model, events, failed, told, trace, datetime.now(UTC))

    def _refuse_too_many(self, more: int, error: ApplyError) -> None:
        if self._count + more > self.policy.most:
            problem = f"{error.problem} (it would be one of {self._count + more} dead letters, and only {self.policy.most} may be parked)"
            told = {"stream_id": error.stream_id, "type": error.type, "correlation_id": error.correlation_id}
            raise ApplyError(error.projection, error.first, error.last, problem, **told) from error


def _applied(model: Model, turn: Turn, fold: Fold, events: pa.Table, attempts: int) -> Changes:
    wait = wait_random_exponential(_FIRST_WAIT_S, _LONGEST_WAIT_S)
    for attempt in Retrying(stop=stop_after_attempt(attempts), wait=wait, retry=retry_if_exception_type(ApplyError), reraise=True):
        with attempt:
            return apply(model.projection, fold, turn, events)
    raise AssertionError("unreachable")


def _culprit(model: Model, turn: Turn, fold: Fold, events: pa.Table, error: ApplyError) -> dict[str, object]:
    """The event that fails: the one that the error names, or the last one of the shortest beginning of the batch that fails."""
    if error.first == error.last:
        return next(iter(events.filter(pc.equal(events["position"], error.first)).slice(0, 1).to_pylist()))
    good, bad = 0, len(events)
    while bad - good > 1:
        middle = (good + bad) // 2
        try:
            apply(model.projection, fold, turn, events.slice(0, middle))
            good = middle
        except ApplyError:
            bad = middle
    return next(iter(events.slice(bad - 1, 1).to_pylist()))

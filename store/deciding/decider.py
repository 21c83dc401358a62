"""Deciding: read the newest state, decide, append guarded by what was read, and decide again when another was first."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import copy_context
from typing import Any, Final, Protocol, TypeVar

from tenacity import Retrying, retry_if_exception_type, stop_after_delay, wait_random_exponential

from store.append import Appended
from store.correlation import correlated
from store.deciding.batch import decide as decide_all
from store.deciding.decision import Decision, Transacted, refuse_in_decision
from store.deciding.ground import Ground, Standing, Written
from store.deciding.line import Lines
from store.draft import Draft
from store.errors import (
    ConditionFailedError,
    ContentionError,
    DuplicateEventError,
    InvalidEventError,
    OutcomeUnknownError,
    StoreError,
    WrongExpectedVersionError,
)
from store.intake import Intake
from store.observer import Decided, Observer, Retried
from store.query import Query

PATIENCE_S: Final = 10.0
"""So long a decision is made again and again while others are first."""
_SHORTEST_WAIT_S: Final = 0.001
_LONGEST_WAIT_S: Final = 0.1

S = TypeVar("S")


class Append(Protocol):
    """The store's append of what is checked and encoded already."""

    def __call__(self, parts: Sequence[Draft], fail_if: Query | None, after: int) -> Sequence[Appended]: ...


class Find(Protocol):
    """Where the events of an append are, past a position; empty if they are not all in the log."""

    def __call__(self, parts: Sequence[Draft], after: int) -> Sequence[Appended]: ...


class Decider:
    """All decisions of one store. Many threads decide at once; decisions on equal grounds share commits."""

    def __init__(self, append: Append, find: Find, observer: Observer, intake: Intake) -> None:
        self._append, self._find, self._observer, self._intake = append, find, observer, intake
        self._lines: Lines[Decision[Any]] = Lines()

    def transact(self, ground: Ground[S], decide: Callable[[S], Any], patience_s: float) -> Transacted[S]:
        """Raises what `decide` raises, once the state that it was raised on is durable."""
        refuse_in_decision()
        if not isinstance(patience_s, int | float) or not patience_s >= 0:
            raise InvalidEventError("patience_s", patience_s, "is no time span", "give seconds from 0 on; 0 decides once")
        if not callable(decide):
            raise InvalidEventError("decide", decide, "is no function", "give one of the state that returns events")
        with correlated() as correlation_id:
            decision = Decision(decide, copy_context(), correlation_id, time.monotonic() + patience_s)
            with self._lines.at(ground.key) as line:
                line.join(decision, lambda decisions: self._serve(ground, decisions))
        if isinstance(decision.outcome, BaseException):
            raise decision.outcome
        assert decision.outcome is not None
        return decision.outcome

    def _serve(self, ground: Ground[S], decisions: Sequence[Decision[S]]) -> None:
        try:
            while decisions:
                decisions = self._commit(ground, decisions)
        except DuplicateEventError as error:
            unserved = [decision for decision in decisions if not decision.served]    # others were told already that they gave up
            if len(unserved) == 1:
                unserved[0].outcome = error.told(unserved[0].correlation_id)
            else:                                  # one of them is at fault, and the others have nothing to do with it
                for decision in unserved:
                    self._serve(ground, [decision])
        except StoreError as error:
            for decision in decisions:
                if not decision.served:
                    decision.outcome = error.told(decision.correlation_id)

    def _commit(self, ground: Ground[S], decisions: Sequence[Decision[S]]) -> Sequence[Decision[S]]:
        """Make one commit of them, however often they must be decided; those that could not come along are returned."""
        began_s, ids = time.monotonic(), tuple(decision.correlation_id for decision in decisions)
        for attempt in _again_after(WrongExpectedVersionError, ConditionFailedError):
            with attempt:
                number = attempt.retry_state.attempt_number
                try:
                    held = self._attempt(ground, decisions, number)
                except (WrongExpectedVersionError, ConditionFailedError) as conflict:
                    self._observer.record(Retried(ground.told, str(conflict), number, ids))
                    decisions = _patient(ground, decisions, conflict, number, time.monotonic() - began_s)
                    if decisions:
                        raise
                    return []
                events = sum(len(part.rows) for decision in decisions for part in decision.drafts)
                self._observer.record(Decided(ground.told, len(decisions) - len(held), events, number, time.monotonic() - began_s, ids))
                return held
        raise AssertionError("unreachable")

    def _attempt(self, ground: Ground[S], decisions: Sequence[Decision[S]], number: int) -> Sequence[Decision[S]]:
        before, written = ground.stand(), list[Written]()
        batch = decide_all(ground, before, decisions, self._intake)
        parts = batch.parts()
        with _all_told(batch.taken):
            if parts:
                answers = self._append_surely(parts, before, batch.taken)
                written = [Written(part, answer) for part, answer in zip(parts, answers, strict=True) if part.rows]
            batch.answer(written, number)
        if written and batch.is_new(written):
            ground.settle(before, batch.state, written)
        return batch.held

    def _append_surely(self, parts: Sequence[Draft], before: Standing[S], decisions: Sequence[Decision[S]]) -> Sequence[Appended]:
        """Of an unknown outcome the same append is repeated, by its event ids: to decide anew could make a decision a fact twice."""
        until_s = max(decision.until_s for decision in decisions)
        stop, unsure = stop_after_delay(max(0.0, until_s - time.monotonic())), False
        for attempt in _again_after(OutcomeUnknownError).copy(stop=stop):
            with attempt:
                if unsure and (landed := self._landed(parts, before)):
                    return landed
                try:
                    return self._append(parts, before.fail_if, before.after)
                except OutcomeUnknownError:
                    unsure = True
                    raise
                except ConditionFailedError:       # perhaps by our own event, which has arrived at last
                    if unsure and (landed := self._landed(parts, before)):
                        return landed
                    raise
        raise AssertionError("unreachable")

    def _landed(self, parts: Sequence[Draft], before: Standing[S]) -> Sequence[Appended]:
        """Where these events are; empty if they are not in the log.

        An exact version tells a repeat by itself. Without one the store looks only at a stream's last events, and there may be many since.
        """
        return [] if before.fail_if is None else self._find(parts, before.after)


@contextmanager
def _all_told(decisions: Sequence[Decision[Any]]) -> Iterator[None]:
    """From the append to the answers: an interrupted thread must not leave a decision to be made again that may be a fact."""
    try:
        yield
    except StoreError:
        raise
    except BaseException:                          # Ctrl-C: the append goes on without us
        unknown = OutcomeUnknownError("the thread that committed was interrupted: load, and see whether the events are there")
        for decision in decisions:
            if not decision.served:
                decision.outcome = unknown.told(decision.correlation_id)
        raise


def _again_after(*errors: type[StoreError]) -> Retrying:
    wait = wait_random_exponential(multiplier=_SHORTEST_WAIT_S, max=_LONGEST_WAIT_S)
    return Retrying(retry=retry_if_exception_type(errors), wait=wait, reraise=True)


def _patient(
    ground: Ground[S], decisions: Sequence[Decision[S]], conflict: StoreError, attempts: int, seconds: float
) -> Sequence[Decision[S]]:
    """Those that will be decided again. The others get their error now."""
    now_s = time.monotonic()
    for decision in decisions:
        if decision.until_s <= now_s:
            error = ContentionError(ground.told, conflict, attempts, seconds)
            error.__cause__ = conflict
            decision.outcome = error.told(decision.correlation_id)
    return [decision for decision in decisions if not decision.served]

"""Deciding: read the newest state, decide, append guarded by what was read, and decide again when another was first."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from contextvars import copy_context
from typing import Any, Final, Protocol, TypeVar

from tenacity import Retrying, retry_if_exception_type, stop_after_delay, wait_random_exponential

from store.append import Appended
from store.contract import Contract
from store.correlation import correlated
from store.deciding.batch import decide as decide_all
from store.deciding.decision import Decision, Transacted
from store.deciding.ground import Ground, Written
from store.deciding.line import Lines
from store.draft import Draft
from store.errors import ConditionFailedError, ContentionError, OutcomeUnknownError, StoreError, WrongExpectedVersionError
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


class Decider:
    """All decisions of one store. Many threads decide at once; decisions on equal grounds share commits."""

    def __init__(self, append: Append, observer: Observer, contract: Contract | None) -> None:
        self._append, self._observer, self._contract = append, observer, contract
        self._lines: Lines[Decision[Any]] = Lines()

    def transact(self, ground: Ground[S], decide: Callable[[S], Any], patience_s: float) -> Transacted[S]:
        """Raises what `decide` raises, once the state that it was raised on is durable."""
        with correlated() as correlation_id:
            decision = Decision(decide, copy_context(), correlation_id)
        with self._lines.at(ground.key) as line:
            line.join(decision, lambda decisions: self._serve(ground, decisions, patience_s))
        if isinstance(decision.outcome, BaseException):
            raise decision.outcome
        assert decision.outcome is not None
        return decision.outcome

    def _serve(self, ground: Ground[S], decisions: Sequence[Decision[S]], patience_s: float) -> None:
        try:
            while decisions:
                decisions = self._commit(ground, decisions, patience_s)
        except StoreError as error:
            for decision in decisions:
                decision.outcome = error.told(decision.correlation_id)

    def _commit(self, ground: Ground[S], decisions: Sequence[Decision[S]], patience_s: float) -> Sequence[Decision[S]]:
        """Make one commit of them, however often they must be decided; those that could not come along are returned."""
        began_s, ids, attempts = time.monotonic(), tuple(decision.correlation_id for decision in decisions), 0
        try:
            for attempt in _patient(patience_s, WrongExpectedVersionError, ConditionFailedError):
                with attempt:
                    attempts += 1
                    held = self._attempt(ground, decisions, attempts, patience_s)
                if (conflict := attempt.retry_state.outcome) is not None and conflict.failed:
                    self._observer.record(Retried(ground.told, str(conflict.exception()), attempts, ids))
        except (WrongExpectedVersionError, ConditionFailedError) as conflict:
            raise ContentionError(ground.told, conflict, attempts, time.monotonic() - began_s) from conflict
        events = sum(len(part.rows) for decision in decisions for part in decision.drafts)
        self._observer.record(Decided(ground.told, len(decisions) - len(held), events, attempts, time.monotonic() - began_s, ids))
        return held

    def _attempt(self, ground: Ground[S], decisions: Sequence[Decision[S]], attempts: int, patience_s: float) -> Sequence[Decision[S]]:
        before, written = ground.stand(), list[Written]()
        batch = decide_all(ground, before, decisions, self._contract)
        if parts := batch.parts():
            answers = self._append_surely(parts, before.fail_if, before.after, patience_s)
            written = [Written(part, answer) for part, answer in zip(parts, answers, strict=True) if part.rows]
            ground.settle(before, batch.state, written)
        batch.answer(written, attempts)
        return batch.held

    def _append_surely(self, parts: Sequence[Draft], fail_if: Query | None, after: int, patience_s: float) -> Sequence[Appended]:
        """Of an unknown outcome the same append is repeated, by its event ids. To decide anew could make the decision a fact twice."""
        try:
            return self._append(parts, fail_if, after)
        except OutcomeUnknownError:
            return _patient(patience_s, OutcomeUnknownError)(self._append, parts, fail_if, after)


def _patient(patience_s: float, *errors: type[StoreError]) -> Retrying:
    return Retrying(
        retry=retry_if_exception_type(errors),
        stop=stop_after_delay(patience_s),
        wait=wait_random_exponential(multiplier=_SHORTEST_WAIT_S, max=_LONGEST_WAIT_S),
        reraise=True,
    )

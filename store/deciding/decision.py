"""A decision in its two lives: `Decision` is one that waits, `Transacted` one that is durable."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextvars import Context, ContextVar
from dataclasses import dataclass
from typing import Any, Final, Generic, TypeVar

from store.append import Appended
from store.draft import Draft
from store.errors import InvalidEventError, NestedDecisionError

S = TypeVar("S")

DECIDING: Final[ContextVar[bool]] = ContextVar("alluvium_deciding")
"""Set in the context in which `decide` runs."""


def refuse_in_decision() -> None:
    """NestedDecisionError: in `decide`. To decide there would be to wait for oneself, or for one that waits for oneself; what is appended there
    is appended again each time that it is called."""
    if DECIDING.get(False):
        raise NestedDecisionError


@dataclass(frozen=True, slots=True)
class Transacted(Generic[S]):
    """A decision that is durable. `state`: after its events. `appended`: where they are, by stream; empty if it decided on none.

    `versions`: of each stream that it was made on or wrote to, after it. `attempts`: how often it was decided; 1 without a conflict.
    `correlation_id`: that of its events.
    """

    state: S
    appended: Mapping[str, Appended]
    versions: Mapping[str, int]
    attempts: int
    correlation_id: str

    @property
    def version(self) -> int:
        """Of the stream that was decided on. InvalidEventError: there are several, or none; `versions` tells of each."""
        if len(self.versions) != 1:
            raise InvalidEventError("version", list(self.versions), "are not one stream", "ask `versions`, which tells of each")
        [version] = self.versions.values()
        return version


@dataclass(slots=True, eq=False)
class Decision(Generic[S]):
    """One call of `transact`: it stands in line until it has its outcome."""

    decide: Callable[[S], Any]
    context: Context
    """The caller's: whichever thread serves the line decides in it, so that correlation ids and the like are the caller's."""
    correlation_id: str
    until_s: float
    """By the monotonic clock: so long others may be first."""
    outcome: Transacted[S] | BaseException | None = None
    drafts: Sequence[Draft] = ()
    refusal: BaseException | None = None
    state: Any = None

    @property
    def served(self) -> bool:
        return self.outcome is not None

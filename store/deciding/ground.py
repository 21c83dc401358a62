"""What a decision stands on: a state, how it was guarded when it was read, and where the decided events go."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Generic, NamedTuple, Protocol, TypeVar

from store.append import Appended
from store.draft import Draft
from store.event import Event
from store.query import Query

S = TypeVar("S")


@dataclass(frozen=True, slots=True)
class Standing(Generic[S]):
    """A state, and what must still hold at the commit of events that were decided on it.

    `expected`: versions of the streams that it was read from; events for another stream go there whatever it holds. `fail_if`, `after`: as
    in `append`. `basis`: what the ground itself wants to know again when it settles.
    """

    state: S
    expected: Mapping[str, int]
    basis: Any
    fail_if: Query | None = None
    after: int = 0


class Ground(Protocol[S]):
    """One aggregate, several at once, or a boundary with its query."""

    @property
    def key(self) -> Hashable:
        """Decisions on equal keys queue up."""

    @property
    def told(self) -> str:
        """What it is, for people."""

    def stand(self) -> Standing[S]:
        """On the newest state."""

    def decided(self, outcome: Any) -> Mapping[str, Sequence[Event]]:
        """The events, by stream, of what `decide` returned."""

    def evolve(self, state: S, drafts: Sequence[Draft]) -> S:
        """The state once these are events."""

    def settle(self, before: Standing[S], state: S, written: Sequence[Written]) -> None:
        """Remember the state after a commit of our own."""


class Written(NamedTuple):
    """What one commit wrote to one stream."""

    part: Draft
    appended: Appended

"""A boundary: a state folded from the events that a query finds, in whatever streams they are."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Generic, TypeVar

from store.deciding.fold import Evolve
from store.errors import InvalidEventError
from store.event_types.event_types import EventTypes
from store.privacy.key import KeyId
from store.query import Query

S = TypeVar("S")


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Boundary(Generic[S]):
    """What a decision over a query is made on; `initial, evolve, types, unknown, erased` as in `Aggregate`.

        seats = Boundary(initial=Seats(), evolve=evolve, types=flight_types)
        transact_query(store, seats, Query(types=["SeatBooked"], tags=["flight:UA-1545"]), book)

    The query must find every event that can change the decision: nothing else is guarded. It names types as `types` do: what a Rename or
    a Split leads to is found under its old name, too (`evolve` is given all parts of a split event). InvalidEventError: it asks for a
    type that is not among them.
    """

    initial: S
    evolve: Evolve[S]
    types: EventTypes = field(default_factory=EventTypes)
    unknown: Evolve[S] | None = None
    erased: Evolve[S] | None = None

    def asked(self, query: Query) -> Query:
        """What the log is asked for: events that are read as a wanted type may have another name there."""
        return query.widened(self._names) if self.types else query

    def _names(self, name: str) -> frozenset[str]:
        if self.unknown is None and name not in self.types and all(step.type != name for step in self.types.steps):
            known = ", ".join(event_type.name for event_type in self.types)
            raise InvalidEventError("query", name, "is no type that the boundary knows", f"take one of {known}, or register it")
        return self.types.stored_names(name)


@dataclass(frozen=True, slots=True)
class Matched(Generic[S]):
    """The state folded from every event that matches `query` up to `position`, the head of the log when it was read.

    `events`: how many these are. `data_bytes`: of their data. `keys`: of the personal data in them.
    """

    query: Query
    state: S
    position: int
    events: int = 0
    data_bytes: int = 0
    checked_s: float = field(default=0.0, repr=False, compare=False)
    """By the monotonic clock, when that was."""
    keys: frozenset[KeyId] = frozenset()

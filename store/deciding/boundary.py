"""A boundary: a state folded from the events that a query finds, in whatever streams they are."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Generic, TypeVar

from store.deciding.fold import Evolve
from store.event_types.event_types import EventTypes
from store.query import Query

S = TypeVar("S")


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Boundary(Generic[S]):
    """What a decision over a query is made on; `initial, evolve, types, unknown` as in `Aggregate`.

        seats = Boundary(initial=Seats(), evolve=evolve, types=flight_types)
        transact_query(store, seats, Query(types=["SeatBooked"], tags=["flight:UA-1545"]), book)

    The query must find every event that can change the decision: nothing else is guarded.
    """

    initial: S
    evolve: Evolve[S]
    types: EventTypes = field(default_factory=EventTypes)
    unknown: Evolve[S] | None = None


@dataclass(frozen=True, slots=True)
class Matched(Generic[S]):
    """The state folded from every event that matches `query` up to `position`, the head of the log when it was read.

    `events`: how many these are. `data_bytes`: of their data.
    """

    query: Query
    state: S
    position: int
    events: int = 0
    data_bytes: int = 0

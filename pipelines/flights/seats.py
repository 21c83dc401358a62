"""Booking seats: a decision over all events of one departure, in whatever streams they are."""

from __future__ import annotations

from typing import Any, Final

import msgspec

from pipelines.flights.events import SeatBooked, SeatsOffered, flight_types
from store import Boundary, EventStore, Query, Transacted, transact_query


class Seats(msgspec.Struct, frozen=True):
    """Of one departure."""

    offered: int = 0
    passengers: frozenset[str] = frozenset()


class SoldOutError(Exception):
    """No seat is left."""


def evolve(seats: Seats, event: Any) -> Seats:
    match event:
        case SeatsOffered(_, offered):
            return Seats(seats.offered + offered, seats.passengers)
        case SeatBooked(_, passenger):
            return Seats(seats.offered, seats.passengers | {passenger})
    return seats


seats: Final = Boundary(initial=Seats(), evolve=evolve, types=flight_types)


def of(departure: str) -> Query:
    """The events that decide about its seats."""
    return Query(types=["SeatsOffered", "SeatBooked"], tags=[f"departure:{departure}"])


def book(store: EventStore, departure: str, passenger: str) -> Transacted[Seats]:
    """A seat for the passenger, in the passenger's own stream; nothing happens if there is one already. SoldOutError: none is left."""

    def decide(state: Seats) -> dict[str, list[SeatBooked]]:
        if passenger in state.passengers:
            return {}
        if len(state.passengers) >= state.offered:
            raise SoldOutError(f"all {state.offered} seats of {departure} are taken")
        return {f"passenger-{passenger}": [SeatBooked(departure, passenger)]}

    return transact_query(store, seats, of(departure), decide)

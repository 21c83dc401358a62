"""Booking seats: a decision over all events of one departure, in whatever streams they are."""

from __future__ import annotations

from functools import reduce
from typing import Any, Final

import msgspec
import pyarrow.compute as pc

from pipelines.flights.events import SeatBooked, SeatReleased, SeatsOffered, flight_types
from store import Boundary, Event, EventStore, Query, Transacted, transact_query


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
        case SeatReleased(_, passenger):
            return Seats(seats.offered, seats.passengers - {passenger})
    return seats


seats: Final = Boundary(initial=Seats(), evolve=evolve, types=flight_types)


def of(departure: str) -> Query:
    """The events that decide about its seats."""
    return Query(types=["SeatsOffered", "SeatBooked", "SeatReleased"], tags=[f"departure:{departure}"])


def book(store: EventStore, departure: str, passenger: str, event_id: str | None = None) -> Transacted[Seats]:
    """A seat for the passenger, in the passenger's own stream; nothing happens if there is one already. SoldOutError: none is left.

    `event_id`: of the booking; under one id one seat is booked, however often it is tried.
    """

    def decide(state: Seats) -> dict[str, list[Event]]:
        if passenger in state.passengers:
            return {}
        if len(state.passengers) >= state.offered:
            raise SoldOutError(f"all {state.offered} seats of {departure} are taken")
        return {f"passenger-{passenger}": [flight_types.event(SeatBooked(departure, passenger), event_id=event_id)]}

    return transact_query(store, seats, of(departure), decide)


def release(store: EventStore, departure: str, passenger: str, event_id: str | None = None) -> Transacted[Seats]:
    """Give the passenger's seat back; nothing happens if there is none, or if one was given back under that id."""

    def decide(state: Seats) -> dict[str, list[Event]]:
        if passenger not in state.passengers:
            return {}
        return {f"passenger-{passenger}": [flight_types.event(SeatReleased(departure, passenger), event_id=event_id)]}

    return transact_query(store, seats, of(departure), decide)


def booked_under(store: EventStore, passenger: str, event_id: str) -> str | None:
    """The departure that was booked under that id."""
    events = store.read_stream(f"passenger-{passenger}")
    found: list[SeatBooked] = flight_types.decode(events.filter(pc.field("event_id") == event_id))
    return found[0].departure if found else None


def passengers_at(store: EventStore, departure: str, position: int) -> list[str]:
    """Who had a seat when the log ended there, by name."""
    events = store.read_all(until=position, query=of(departure)).read_all()
    return sorted(reduce(evolve, flight_types.decode(events), seats.initial).passengers)

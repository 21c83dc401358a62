"""An airport: open or closed; and a departure, which asks both the aircraft and its airport."""

from __future__ import annotations

from typing import Any, Final

import msgspec

from pipelines.flights import aircraft as aircraft_decisions
from pipelines.flights.aircraft import Aircraft, aircraft
from pipelines.flights.events import AirportClosed, AirportReopened, FlightDeparted, flight_types
from store import Aggregate, EventStore, Transacted, transact_many


class Airport(msgspec.Struct, frozen=True):
    """`closed`: why nothing may depart."""

    closed: str | None = None


class AirportClosedError(Exception):
    """Nothing departs now. The message says why."""


def evolve(airport: Airport, event: Any) -> Airport:
    match event:
        case AirportClosed(reason):
            return Airport(reason)
        case AirportReopened():
            return Airport()
    return airport


airport: Final = Aggregate(category="airport", initial=Airport(), evolve=evolve, types=flight_types)


def close(state: Airport, reason: str) -> list[AirportClosed]:
    return [] if state.closed is not None else [AirportClosed(reason)]


def reopen(state: Airport) -> list[AirportReopened]:
    return [] if state.closed is None else [AirportReopened()]


def depart(store: EventStore, tailnum: str, event: FlightDeparted) -> Transacted[tuple[Any, ...]]:
    """Let an aircraft depart if it can, and if its airport is open: an airport that closes meanwhile is noticed, though nothing is written to it.

    AircraftRefusedError, AirportClosedError: why not.
    """

    def decide(state: Aircraft, origin: Airport) -> tuple[list[FlightDeparted], list[AirportClosed]]:
        if origin.closed is not None:
            raise AirportClosedError(f"{event.origin} is closed: {origin.closed}")
        return [aircraft_decisions.depart(state, event)], []

    return transact_many(store, [(aircraft, tailnum), (airport, event.origin)], decide)

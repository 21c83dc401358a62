"""An aircraft: where it is, what it has flown, and what may be decided about it."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date, datetime
from functools import reduce
from itertools import accumulate
from typing import Any, Final, Literal

import msgspec
import pyarrow.compute as pc
from msgspec.structs import replace

from pipelines.flights.events import (
    AircraftGrounded,
    AircraftReleased,
    FlightArrived,
    FlightCancelled,
    FlightDeparted,
    FlightDiverted,
    flight_types,
)
from store import Aggregate, EventStore, RecordedEvent, SnapshotPolicy

Status = Literal["unseen", "in the air", "on the ground", "diverted"]


class Aircraft(msgspec.Struct, frozen=True):
    """`airport`: where it stands, or is bound for. The source tells of flights out of New York only, so an aircraft
    seen last in Boston next departs from New York: how it came back is not known.

    `flight`: the one under way. `grounded`: why it must not fly. `minutes_in_the_air` leaves out diverted flights, whose air
    time the source does not give.
    """

    status: Status = "unseen"
    airport: str | None = None
    flight: str | None = None
    grounded: str | None = None
    flown: int = 0
    cancelled: int = 0
    diverted: int = 0
    minutes_in_the_air: int = 0


class AircraftRefusedError(Exception):
    """It cannot do that now. The message says why."""


def evolve(aircraft: Aircraft, event: Any) -> Aircraft:
    match event:
        case FlightDeparted():
            return replace(aircraft, status="in the air", airport=event.destination, flight=event.name, flown=aircraft.flown + 1)
        case FlightArrived():
            return _landed(replace(aircraft, minutes_in_the_air=aircraft.minutes_in_the_air + (event.air_min or 0)), event)
        case FlightDiverted():
            status: Status = "diverted" if aircraft.flight == event.name else aircraft.status
            return replace(aircraft, status=status, diverted=aircraft.diverted + 1)
        case FlightCancelled():
            return replace(aircraft, cancelled=aircraft.cancelled + 1)
        case AircraftGrounded(reason):
            return replace(aircraft, grounded=reason)
        case AircraftReleased():
            return replace(aircraft, grounded=None)
    return aircraft


def _landed(aircraft: Aircraft, event: FlightArrived) -> Aircraft:
    # The source has some aircraft depart again before they land: where such a one is, its latest departure says.
    return replace(aircraft, status="on the ground", flight=None) if aircraft.flight == event.name else aircraft


# Folding a year of one aircraft takes a few milliseconds, so snapshots pay only for the busiest.
aircraft: Final = Aggregate(
    category="aircraft", initial=Aircraft(), evolve=evolve, types=flight_types, snapshots=SnapshotPolicy(every_events=1_000)
)


# Decisions ------------------------------------------------------------------------------------------------------


def depart(state: Aircraft, event: FlightDeparted) -> FlightDeparted:
    """AircraftRefusedError: it is in the air, or it is grounded."""
    if state.grounded is not None:
        raise AircraftRefusedError(f"it is grounded: {state.grounded}")
    if state.flight is not None:
        raise AircraftRefusedError(f"it is in the air already, as {state.flight} to {state.airport}")
    return event


def arrive(state: Aircraft, event: FlightArrived) -> FlightArrived:
    """AircraftRefusedError: it is not flying that flight."""
    if state.flight != event.name:
        raise AircraftRefusedError(f"it is not in the air as {event.name}, but " + (f"as {state.flight}" if state.flight else state.status))
    return event


def ground(state: Aircraft, reason: str) -> list[AircraftGrounded]:
    """Nothing happens if it is grounded already. AircraftRefusedError: it is in the air."""
    if state.flight is not None:
        raise AircraftRefusedError(f"it is in the air, as {state.flight}: ground it when it has landed")
    return [] if state.grounded is not None else [AircraftGrounded(reason)]


def release(state: Aircraft) -> list[AircraftReleased]:
    """Nothing happens if it is not grounded."""
    return [] if state.grounded is None else [AircraftReleased()]


# Looking back ---------------------------------------------------------------------------------------------------


def occurred_by(store: EventStore, tailnum: str, moment: datetime) -> Aircraft:
    """The aircraft after all that had occurred by then, in business time; `load_as_of` asks the store's own."""
    events = store.read_stream(aircraft.stream_id(tailnum))
    return reduce(evolve, flight_types.decode(events.filter(pc.field("occurred_at") <= moment)), aircraft.initial)


def replay_day(store: EventStore, tailnum: str, day: date) -> Iterator[tuple[RecordedEvent, Aircraft]]:
    """What became of the flights it was to fly on that day (of New York): each event, and the aircraft after it."""
    events = store.read_stream(aircraft.stream_id(tailnum))
    states = accumulate(flight_types.decode(events), evolve, initial=aircraft.initial)
    next(states)
    for event, state in zip(RecordedEvent.each(events), states, strict=True):
        if event.type != "FlightScheduled" and (event.correlation_id or "").startswith(f"{day}-"):
            yield event, state

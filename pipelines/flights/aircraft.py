"""One aircraft, reconstructed from its stream."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import date, datetime
from functools import reduce
from typing import Final, Literal

import pyarrow.compute as pc

from store import EventStore, RecordedEvent

CATEGORY: Final = "aircraft"

Status = Literal["unseen", "in the air", "on the ground", "diverted"]


@dataclass(frozen=True, slots=True)
class Aircraft:
    """`airport`: where it stands, or is bound for. The source tells of flights out of New York only, so an aircraft
    seen last in Boston next departs from New York: how it came back is not known.

    `minutes_in_the_air` leaves out diverted flights, whose air time the source does not give.
    """

    tailnum: str
    version: int = 0
    status: Status = "unseen"
    airport: str | None = None
    flight: str | None = None
    """The correlation id of the flight under way."""
    flown: int = 0
    cancelled: int = 0
    diverted: int = 0
    minutes_in_the_air: int = 0


def initial(tailnum: str) -> Aircraft:
    return Aircraft(tailnum)


def evolve(aircraft: Aircraft, event: RecordedEvent) -> Aircraft:
    """The aircraft after one more event of its stream. Types not known here change nothing but the version."""
    aircraft = replace(aircraft, version=event.version)
    match event.type:
        case "FlightDeparted":
            destination = event.payload()["destination"]
            return replace(aircraft, status="in the air", airport=destination, flight=event.correlation_id, flown=aircraft.flown + 1)
        case "FlightArrived":
            minutes = event.payload()["air_min"] or 0
            return _landed(replace(aircraft, minutes_in_the_air=aircraft.minutes_in_the_air + minutes), event)
        case "FlightDiverted":
            status: Status = "diverted" if aircraft.flight == event.correlation_id else aircraft.status
            return replace(aircraft, status=status, diverted=aircraft.diverted + 1)
        case "FlightCancelled":
            return replace(aircraft, cancelled=aircraft.cancelled + 1)
    return aircraft


def _landed(aircraft: Aircraft, event: RecordedEvent) -> Aircraft:
    # The source has some aircraft depart again before they land: where such a one is, its latest departure says.
    return replace(aircraft, status="on the ground", flight=None) if aircraft.flight == event.correlation_id else aircraft


def load_aircraft(store: EventStore, tailnum: str, as_of: datetime | None = None) -> Aircraft:
    """Folded from its stream: all of it, or what had occurred by `as_of` (business time, with a time zone)."""
    events = store.read_stream(f"{CATEGORY}-{tailnum}")
    if as_of is not None:
        events = events.filter(pc.field("occurred_at") <= as_of)
    return reduce(evolve, RecordedEvent.each(events), initial(tailnum))


def replay_day(store: EventStore, tailnum: str, day: date) -> Iterator[tuple[RecordedEvent, Aircraft]]:
    """What became of the flights it was to fly on that day (of New York): each event, and the aircraft after it."""
    aircraft = initial(tailnum)
    for event in RecordedEvent.each(store.read_stream(f"{CATEGORY}-{tailnum}")):
        aircraft = evolve(aircraft, event)
        if event.type != "FlightScheduled" and (event.correlation_id or "").startswith(f"{day}-"):
            yield event, aircraft

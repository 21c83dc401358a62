"""What can happen: the event types of the flights domain. `history.py` tells 2013 in the first five of them."""

from __future__ import annotations

from typing import Final

import msgspec

from store import EventType, EventTypes


class Flown(msgspec.Struct, frozen=True):
    """What every event of a flight says. `flight`: its number."""

    carrier: str
    flight: int
    origin: str
    destination: str

    @property
    def name(self) -> str:
        return f"{self.carrier} {self.flight}"


class FlightScheduled(Flown, frozen=True, kw_only=True):
    """`departs`, `arrives`: local times."""

    tailnum: str | None = None
    distance_miles: int
    departs: str
    arrives: str
    duration_min: int


class FlightDeparted(Flown, frozen=True, kw_only=True):
    """`local_time`: hh:mm; midnight is 24:00."""

    local_time: str
    delay_min: int


class FlightArrived(Flown, frozen=True, kw_only=True):
    """Without delay and time in the air after a diversion."""

    local_time: str
    delay_min: int | None = None
    air_min: int | None = None


class FlightCancelled(Flown, frozen=True):
    pass


class FlightDiverted(Flown, frozen=True):
    pass


class AircraftGrounded(msgspec.Struct, frozen=True):
    reason: str


class AircraftReleased(msgspec.Struct, frozen=True):
    pass


class AirportClosed(msgspec.Struct, frozen=True):
    reason: str


class AirportReopened(msgspec.Struct, frozen=True):
    pass


class SeatsOffered(msgspec.Struct, frozen=True):
    """`departure`: one flight on one day, such as `2013-02-04-UA-1545-EWR`."""

    departure: str
    seats: int


class SeatBooked(msgspec.Struct, frozen=True):
    departure: str
    passenger: str


class SeatReleased(msgspec.Struct, frozen=True):
    """A booked seat was given back."""

    departure: str
    passenger: str


def _route(event: Flown) -> list[str]:
    return [f"carrier:{event.carrier}", f"origin:{event.origin}", f"destination:{event.destination}"]


def _seat(event: SeatBooked | SeatReleased) -> list[str]:
    return [f"departure:{event.departure}", f"passenger:{event.passenger}"]


flight_types: Final = EventTypes(
    *(EventType(cls.__name__, cls, tags=_route) for cls in (FlightScheduled, FlightDeparted, FlightArrived, FlightCancelled, FlightDiverted)),
    *(EventType(cls.__name__, cls) for cls in (AircraftGrounded, AircraftReleased, AirportClosed, AirportReopened)),
    EventType("SeatsOffered", SeatsOffered, tags=lambda event: [f"departure:{event.departure}"]),
    EventType("SeatBooked", SeatBooked, tags=_seat),
    EventType("SeatReleased", SeatReleased, tags=_seat),
)

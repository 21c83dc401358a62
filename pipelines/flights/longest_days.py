"""The read model `longest_days`, by handlers: it counts a day, and forgets it when a longer one has come."""

from __future__ import annotations

from datetime import date
from typing import Final
from zoneinfo import ZoneInfo

import msgspec
import pyarrow as pa

from pipelines.flights.events import FlightArrived, flight_types
from projections import Handlers, Place, Projection

_NEW_YORK: Final = ZoneInfo("America/New_York")


class LongestDay(msgspec.Struct):
    """The day that is being counted, and the one of most minutes in the air by now (the first of several)."""

    tailnum: str
    day: date
    flights: int
    air_min: int
    longest_day: date
    longest_flights: int
    longest_air_min: int


def _arrived(row: LongestDay | None, event: FlightArrived, place: Place) -> LongestDay:
    day = place.occurred_at.astimezone(_NEW_YORK).date()
    if row is None:
        row = LongestDay(_tailnum(event, place), day, 0, 0, day, 0, 0)
    elif row.day != day:
        row.day, row.flights, row.air_min = day, 0, 0
    row.flights, row.air_min = row.flights + 1, row.air_min + (event.air_min or 0)
    if row.air_min > row.longest_air_min or row.day == row.longest_day:
        row.longest_day, row.longest_flights, row.longest_air_min = row.day, row.flights, row.air_min
    return row


def _tailnum(event: object, place: Place) -> str:
    return place.stream_id.removeprefix("aircraft-")


longest_days: Final = Projection(
    name="longest_days",
    version=1,
    description="On which day of New York each aircraft was in the air the longest, by the flights that arrived.",
    key=("tailnum",),
    categories=("aircraft",),
    event_types=flight_types,
    columns=pa.schema(
        {
            "tailnum": pa.string(),
            "day": pa.date32(),
            "flights": pa.int64(),
            "air_min": pa.int64(),
            "longest_day": pa.date32(),
            "longest_flights": pa.int64(),
            "longest_air_min": pa.int64(),
        }
    ),
    form=Handlers(on={FlightArrived: _arrived}, key=_tailnum, row=LongestDay),
)

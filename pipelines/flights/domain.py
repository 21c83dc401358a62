"""The example domain: every flight out of New York in 2013."""

from __future__ import annotations

from pipelines.domain import Domain
from pipelines.flights.aircraft import aircraft
from pipelines.flights.airport import airport
from pipelines.flights.departures_by_hour import departures_by_hour
from pipelines.flights.events import flight_types
from pipelines.flights.longest_days import longest_days
from pipelines.flights.projections import aircraft_now, carrier_punctuality
from pipelines.flights.routes import routes
from pipelines.flights.tag_punctuality import tag_punctuality
from projections import typed_tables

domain = Domain(
    name="flights",
    projections=(
        carrier_punctuality,
        aircraft_now,
        tag_punctuality,
        departures_by_hour,
        routes,
        longest_days,
        *typed_tables(flight_types, ["FlightDeparted", "FlightArrived"]),
    ),
    event_types=flight_types,
    aggregates=(aircraft, airport),
    owners=("team:flight-operations",),
)

"""The example domain: every flight out of New York in 2013."""

from __future__ import annotations

from pipelines.domain import Domain
from pipelines.flights.longest_days import longest_days
from pipelines.flights.projections import aircraft_now, carrier_punctuality
from pipelines.flights.routes import routes

domain = Domain(name="flights", projections=(carrier_punctuality, aircraft_now, routes, longest_days))

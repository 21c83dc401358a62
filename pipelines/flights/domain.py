"""The example domain: every flight out of New York in 2013."""

from __future__ import annotations

from pipelines.domain import Domain
from pipelines.flights.projections import aircraft_now, carrier_punctuality

domain = Domain(name="flights", projections=(carrier_punctuality, aircraft_now))

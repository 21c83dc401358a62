from __future__ import annotations

import polars as pl
import pyarrow as pa
import pytest

from pipelines.flights.history import flight_events
from pipelines.flights.load import load
from pipelines.flights.source import read_airports, read_flights
from store import MemoryEventStore


@pytest.fixture(scope="session")
def flights() -> pl.DataFrame:
    return read_flights()


@pytest.fixture(scope="session")
def history(flights: pl.DataFrame) -> pa.Table:
    """The whole year."""
    return flight_events(flights, read_airports())


@pytest.fixture(scope="session")
def week(flights: pl.DataFrame) -> pl.DataFrame:
    """A week in February: 5,600 flights, many of them cancelled."""
    return flights.filter((pl.col("month") == 2) & pl.col("day").is_between(4, 10))


@pytest.fixture(scope="session")
def blizzard(week: pl.DataFrame) -> pa.Table:
    """The events of the week."""
    return flight_events(week, read_airports())


@pytest.fixture(scope="session")
def loaded(blizzard: pa.Table) -> MemoryEventStore:
    """The week in a store, to read only."""
    store = MemoryEventStore()
    load(store, blizzard)
    return store

"""The flights' projections in SQL, on Sail. It needs the extra `endpoint`."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from pipelines.flights.domain import domain
from pipelines.flights.load import load
from projections import BUILT_IN, Declined, MemoryModel, Projection, Sail, Sql, fill, fill_on_sail
from store import EventStore, open_store

IN_SQL = [projection for projection in (*domain.projections, *BUILT_IN) if isinstance(projection.form, Sql)]


@pytest.fixture(scope="module")
def sail() -> Iterator[Sail]:
    flight = pytest.importorskip("pysail.flight")
    pytest.importorskip("adbc_driver_flightsql")
    server = flight.FlightSqlServer("127.0.0.1", 0)
    server.start(background=True)
    yield Sail("grpc://{}:{}".format(*server.listening_address))
    server.stop()


@pytest.fixture(scope="module")
def log(blizzard: pa.Table, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[EventStore, str]]:
    place: Path = tmp_path_factory.mktemp("flights")
    with open_store(place, create=True) as store:
        load(store, blizzard)
        yield store, str(place)


@pytest.mark.parametrize("projection", IN_SQL, ids=lambda projection: projection.name)
def test_every_projection_in_sql_has_the_same_rows_on_sail(log: tuple[EventStore, str], sail: Sail, projection: Projection) -> None:
    store, place = log
    told: list[Any] = []
    observer = type("Noted", (), {"record": lambda self, one: told.append(one)})()
    here, there = MemoryModel(projection), MemoryModel(projection)
    fill(store, here)
    done = fill_on_sail(store, place, there, sail, observer=observer)
    key = [(name, "ascending") for name in projection.key]
    assert here.rows().sort_by(key).equals(there.rows().sort_by(key))
    assert (done.rows > 0, [one for one in told if isinstance(one, Declined)]) == (True, [])

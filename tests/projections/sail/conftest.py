from __future__ import annotations

from collections.abc import Iterator

import pytest

from projections.sail.sail import Sail, SailClient


@pytest.fixture(scope="session")
def sail() -> Iterator[Sail]:
    """One server for all tests, as of another process. It needs the extra `endpoint`."""
    flight = pytest.importorskip("pysail.flight")
    pytest.importorskip("adbc_driver_flightsql")
    server = flight.FlightSqlServer("127.0.0.1", 0)
    server.start(background=True)
    yield Sail("grpc://{}:{}".format(*server.listening_address))
    server.stop()


@pytest.fixture(scope="session")
def client(sail: Sail) -> Iterator[SailClient]:
    with sail.connected() as client:
        yield client

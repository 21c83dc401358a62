"""SQL over the warehouse from the network. It needs the extra `endpoint`, some 80 MB that no other test needs."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from projections import FlightEndpoint, PublishError, ServingModel, catch_up, flight_endpoint, rebuild, streams
from store import Event, open_store
from store.delta.delta_store import DeltaEventStore
from tests.projections.test_published_sql import add, summing


@pytest.fixture
def store(tmp_path: Path) -> Iterator[DeltaEventStore]:
    with open_store(tmp_path, create=True) as store:
        add(store, 6)
        catch_up(store, ServingModel(str(tmp_path), summing()))
        yield store


@pytest.fixture
def endpoint(store: DeltaEventStore, tmp_path: Path) -> Iterator[FlightEndpoint]:
    pytest.importorskip("pysail.flight")
    pytest.importorskip("adbc_driver_flightsql")
    with flight_endpoint(str(tmp_path), [summing()], port=0) as endpoint:
        yield endpoint


def asked(endpoint: FlightEndpoint, query: str) -> list[tuple[Any, ...]]:
    from adbc_driver_flightsql import dbapi

    with dbapi.connect(endpoint.uri, autocommit=True) as client, client.cursor() as cursor:
        cursor.execute(query)
        return [tuple(row) for row in cursor.fetchall()]


def test_clients_find_the_tables_by_their_names_at_their_newest_commit(endpoint: FlightEndpoint, store: DeltaEventStore) -> None:
    assert asked(endpoint, "SELECT count(*), max(position) FROM events") == [(6, 6)]
    assert asked(endpoint, "SELECT stream_id, total FROM totals ORDER BY 1") == [("s-0", 6), ("s-1", 9)]
    add(store, 2)
    store.compact()
    assert asked(endpoint, "SELECT count(*), max(position) FROM events WHERE shard IN ('h', 'h0')") == [(8, 8)]


def test_a_warehouse_in_an_object_store_is_served_too(s3_warehouse: str, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("pysail.flight")
    pytest.importorskip("adbc_driver_flightsql")
    monkeypatch.setenv("AWS_ALLOW_HTTP", "true")   # as Sail asks for it, where the endpoint is no https
    with open_store(s3_warehouse, create=True) as store:
        add(store, 6)
        catch_up(store, ServingModel(s3_warehouse, summing()))
        with flight_endpoint(s3_warehouse, [summing()], port=0) as endpoint:
            add(store, 2)
            assert asked(endpoint, "SELECT count(*), max(position) FROM events") == [(8, 8)]
            assert asked(endpoint, "SELECT stream_id, total FROM totals ORDER BY 1") == [("s-0", 6), ("s-1", 9)]


def test_after_a_switch_the_build_that_serves_is_there_once_it_is_registered(
    endpoint: FlightEndpoint, store: DeltaEventStore, tmp_path: Path
) -> None:
    rebuild(store, str(tmp_path), summing())
    catch_up(store, ServingModel(str(tmp_path), streams))
    tables = endpoint.register()
    assert tables["totals"].endswith("projections/totals/v1-2")
    assert asked(endpoint, "SELECT count(*) FROM totals, streams WHERE totals.stream_id = streams.stream_id") == [(2,)]
    assert (tmp_path / "projections/totals/v1/_delta_log").is_dir(), "what served before was removed"


def test_the_log_cannot_be_written_through_it(endpoint: FlightEndpoint) -> None:
    from adbc_driver_flightsql import dbapi

    for statement in ("DELETE FROM events", "INSERT INTO events SELECT * FROM events"):
        with pytest.raises(dbapi.Error, match="Unsupported table features"):
            asked(endpoint, statement)
    assert asked(endpoint, "SELECT count(*) FROM events") == [(6,)]


def test_what_cannot_be_served_is_refused_with_the_remedy(endpoint: FlightEndpoint, tmp_path: Path) -> None:
    taken = int(endpoint.uri.rpartition(":")[2])
    with pytest.raises(PublishError, match="a free port"), flight_endpoint(str(tmp_path), port=taken):
        pass
    with pytest.raises(PublishError, match="make it first"), flight_endpoint(str(tmp_path / "nothing"), port=0):
        pass
    with open_store(tmp_path / "a [b]", create=True) as odd:
        odd.append("s-1", [Event("Came", {})])
    with pytest.raises(PublishError, match="letters, digits"), flight_endpoint(str(tmp_path / "a [b]"), port=0):
        pass


def test_without_the_extra_it_is_told_what_to_install(store: DeltaEventStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pysail.flight", None)
    with pytest.raises(PublishError, match=r"alluvium\[endpoint\]"), flight_endpoint(str(tmp_path), port=0):
        pass

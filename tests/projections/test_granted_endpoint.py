"""SQL from the network by token: each caller sees what was granted to the token, and nobody else sees anything."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow.flight as flight
import pytest

from projections import GrantedEndpoint, PublishError, granted_endpoint, token_hash
from projections.flight_sql import MessageError, decoded, encoded, fields
from store import EVERY, Grant, SqlLimits, open_store
from tests.projections.test_published_sql import add, summing

SALES, WHOLE = "token-of-sales", "token-of-all"
GRANTS = {
    token_hash(SALES): Grant(streams=["s-1"], tables={"totals": ["total"]}),
    token_hash(WHOLE): Grant(categories=[EVERY], data=EVERY, tables={"totals": EVERY}),
}


@pytest.fixture(scope="module")
def endpoint(tmp_path_factory: pytest.TempPathFactory) -> Iterator[GrantedEndpoint]:
    place = tmp_path_factory.mktemp("place")
    with open_store(place, create=True) as store:
        add(store, 6)
    with granted_endpoint(str(place), GRANTS, [summing()], limits=SqlLimits(rows=1_000)) as endpoint:
        yield endpoint


def asked(endpoint: GrantedEndpoint, token: str | None, query: str) -> list[dict[str, Any]]:
    """By the plain client of Arrow, as any client of Flight SQL does it."""
    with flight.FlightClient(endpoint.uri) as client:
        options = flight.FlightCallOptions(headers=[] if token is None else [(b"authorization", f"Bearer {token}".encode())])
        command = flight.FlightDescriptor.for_command(encoded("CommandStatementQuery", {1: query.encode()}))
        info = client.get_flight_info(command, options)
        rows: list[dict[str, Any]] = client.do_get(info.endpoints[0].ticket, options).read_all().to_pylist()
        return rows


def test_a_token_shows_what_it_was_granted(endpoint: GrantedEndpoint) -> None:
    assert asked(endpoint, SALES, "select count(*) as n from events") == [{"n": 3}]
    assert asked(endpoint, WHOLE, "select count(*) as n from events") == [{"n": 6}]
    assert asked(endpoint, SALES, "select version from stream('s-1') order by all") == [{"version": 1}, {"version": 2}, {"version": 3}]
    assert asked(endpoint, SALES, "from totals") == [{"total": 9}]


@pytest.mark.parametrize(
    "query", ["select data from events", "from streams", "select stream_id from totals", "from read_text('/etc/passwd')", "drop view events"]
)
def test_a_token_shows_nothing_else(endpoint: GrantedEndpoint, query: str) -> None:
    with pytest.raises(flight.FlightServerError):
        asked(endpoint, SALES, query)


@pytest.mark.parametrize("token", [None, "", "other", token_hash(SALES)])
def test_without_a_token_that_is_known_nobody_gets_in(endpoint: GrantedEndpoint, token: str | None) -> None:
    with pytest.raises(flight.FlightUnauthenticatedError):
        asked(endpoint, token, "select 1")


def test_an_answer_is_for_who_asked_and_once(endpoint: GrantedEndpoint) -> None:
    with flight.FlightClient(endpoint.uri) as client:
        mine = flight.FlightCallOptions(headers=[(b"authorization", f"Bearer {WHOLE}".encode())])
        theirs = flight.FlightCallOptions(headers=[(b"authorization", f"Bearer {SALES}".encode())])
        command = flight.FlightDescriptor.for_command(encoded("CommandStatementQuery", {1: b"select data from events"}))
        ticket = client.get_flight_info(command, mine).endpoints[0].ticket
        with pytest.raises(flight.FlightServerError, match="no such answer"):
            client.do_get(ticket, theirs).read_all()
        assert len(client.do_get(ticket, mine).read_all()) == 6
        with pytest.raises(flight.FlightServerError, match="no such answer"):
            client.do_get(ticket, mine).read_all()


def test_a_driver_of_flight_sql_asks_it(endpoint: GrantedEndpoint) -> None:
    pytest.importorskip("adbc_driver_flightsql")
    from adbc_driver_flightsql import DatabaseOptions, dbapi

    options = {DatabaseOptions.AUTHORIZATION_HEADER.value: f"Bearer {SALES}"}
    with dbapi.connect(endpoint.uri, db_kwargs=options, autocommit=True) as client, client.cursor() as cursor:
        cursor.execute("select count(*) as n from events")
        assert cursor.fetchall() == [(3,)]
        cursor.execute("select stream_id from events limit 1")
        assert cursor.fetchall() == [("s-1",)]
        with pytest.raises(dbapi.Error, match="data"):
            cursor.execute("select data from events")


def test_rubbish_is_refused_and_the_endpoint_lives_on(endpoint: GrantedEndpoint) -> None:
    options = flight.FlightCallOptions(headers=[(b"authorization", f"Bearer {SALES}".encode())])
    with flight.FlightClient(endpoint.uri) as client:
        for body in (b"", b"\xff" * 40, b"rubbish", encoded("CommandGetTables", {}), encoded("CommandStatementQuery", {1: b"\xff"})):
            with pytest.raises((flight.FlightServerError, flight.FlightInternalError)):
                client.get_flight_info(flight.FlightDescriptor.for_command(body), options)
            with pytest.raises((flight.FlightServerError, flight.FlightInternalError)):
                client.do_get(flight.Ticket(body), options).read_all()
    assert asked(endpoint, SALES, "select 1 as one") == [{"one": 1}]


def test_a_port_that_is_taken_is_told(endpoint: GrantedEndpoint, tmp_path: Path) -> None:
    with open_store(tmp_path, create=True):
        pass
    with pytest.raises(PublishError, match="nothing can listen there"), granted_endpoint(str(tmp_path), {}, port=endpoint.port):
        pass


@pytest.mark.parametrize("size", [0, 1, 127, 128, 20_000])
def test_a_message_is_read_as_it_was_written(size: int) -> None:
    assert decoded(encoded("CommandStatementQuery", {1: b"x" * size, 3: b"y"})) == ("CommandStatementQuery", {1: b"x" * size, 3: b"y"})


@pytest.mark.parametrize("body", [b"\x0a", b"\x0a\x05ab", b"\x0d\x00", b"\xff" * 12])
def test_half_a_message_is_none(body: bytes) -> None:
    with pytest.raises(MessageError):
        fields(body)

"""Filling on Sail: the rows are those of DuckDB, or it is said why Sail did not make them; and nothing is written where Sail fails."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import msgspec
import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from projections import (
    Applied,
    ApplyError,
    Builds,
    DeclarationError,
    Declined,
    ExecutorError,
    MemoryModel,
    Projection,
    ReadModel,
    Sail,
    Sql,
    catch_up,
    check_on_sail,
    fill,
    fill_on_sail,
    make_build,
    rebuild,
    streams,
)
from projections.sail.sail import SailClient
from store import Event, EventStore, EventType, EventTypes, Upcast, open_store

NOON = datetime(1970, 1, 1, 12, tzinfo=UTC)
TIME = pa.timestamp("us", tz="UTC")
GROUPED = Projection(
    name="grouped",
    version=1,
    key=("said", "day"),
    types=("Put", "it's \\ odd"),
    categories=("till", "a'b"),
    columns=pa.schema(
        {
            "said": pa.string(), "day": pa.date32(), "events": pa.int64(), "total": pa.int64(), "wide": pa.decimal128(28, 0),
            "spent": pa.decimal128(20, 2), "smallest": pa.int64(), "largest": pa.string(),
            "first_note": pa.string(), "last_note": pa.string(), "last_flag": pa.bool_(),
            "last_price": pa.float64(), "first_at": TIME,
        }
    ),
    form=Sql(
        select="""
            -- an alias stands for what it names, but a column of the log goes before it
            select data ->> 'to' as said, occurred_at::date as day, 1 as events, (data ->> 'n')::bigint as n, n as total, n as wide,
                   (data ->> 'price')::decimal(12, 2) as spent, n as smallest,
                   data ->> 'note' as largest, largest as first_note, largest as last_note,
                   (data ->> 'flag')::boolean as last_flag, (data ->> 'price')::double as last_price, occurred_at as first_at, 'x' as type, position
            from events where n is null or n <> 7 and type <> 'x'
        """,
        combine={
            "events": "count", "total": "sum", "wide": "sum", "spent": "sum", "smallest": "min", "largest": "max", "first_note": "first",
            "last_note": "last", "last_flag": "last", "last_price": "last", "first_at": "min",
        },
    ),
)  # fmt: skip
TAGGED = Projection(
    name="tagged",
    version=1,
    key=("tag",),
    columns=pa.schema({"tag": pa.string(), "events": pa.int64(), "largest": pa.int64()}),
    form=Sql(
        "select unnest(tags) as tag, 1 as events, position as largest from events where not starts_with(type, 'x')",
        {"events": "count", "largest": "max"},
    ),
)
SUMS = Projection(
    name="sums",
    version=1,
    key=("account",),
    columns=pa.schema({"account": pa.string(), "total": pa.int64()}),
    form=Sql("select data ->> 'to' as account, (data ->> 'n')::bigint as total from events", {"total": "sum"}),
)
TEXTS = st.one_of(st.none(), st.sampled_from(["Ada", "Bob", "", "é", "e\u0301", "1.10", "[x]", "it's \\"]), st.text(max_size=3))
DATA = st.fixed_dictionaries(
    {"to": st.one_of(*[st.sampled_from(["Ada", "é", "1.10", "[1]"])] * 4, TEXTS)},
    optional={
        "n": st.one_of(st.none(), st.integers(-9, 9), st.sampled_from([10**18 - 1, -(10**18) + 1]), st.sampled_from([2**63 - 1, "9", "nine", 1.0])),
        "price": st.decimals(-1000, 1000, places=2).map(str),
        "note": TEXTS,
        "flag": st.one_of(st.none(), st.booleans()),
    },
)
BATCHES = st.lists(
    st.tuples(
        st.sampled_from(["till-1", "till-2", "a'b-1", "till", "other-1"]),
        st.lists(
            st.tuples(st.sampled_from(["Put", "it's \\ odd", "Other"]), DATA, st.sets(st.sampled_from(["a", "é"])), st.integers(-3, 3)),
            min_size=1,
            max_size=4,
        ),
    ),
    max_size=5,
)  # fmt: skip


class Noted(list[Any]):
    record = list.append

    def whys(self) -> list[str]:
        return [one.why for one in self if isinstance(one, Declined)]


def made(log: EventStore, batches: Any) -> None:
    for stream_id, events in batches:
        log.append(stream_id, [Event(type, data, tags=sorted(tags), occurred_at=NOON + timedelta(days=day)) for type, data, tags, day in events])


def rows(model: Any) -> list[dict[str, Any]]:
    return list(model.rows().sort_by([(name, "ascending") for name in model.projection.key]).to_pylist())


def filled(projection: Projection, fill_it: Any) -> Any:
    """The rows, or what it fails with."""
    model = MemoryModel(projection)
    try:
        done = fill_it(model)
    except ApplyError as error:
        return error.first
    return rows(model), done.events, done.rows, model.checkpoint()


@settings(max_examples=8, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(batches=BATCHES)
def test_the_rows_are_those_of_duckdb(sail: Sail, tmp_path_factory: pytest.TempPathFactory, batches: Any) -> None:
    place = str(tmp_path_factory.mktemp("log"))
    with open_store(place, create=True) as store:
        made(store, batches)
        for projection in (GROUPED, TAGGED, SUMS):
            noted = Noted()
            on_sail = filled(projection, lambda model, noted=noted: fill_on_sail(store, place, model, sail, observer=noted))
            assert on_sail == filled(projection, lambda model: fill(store, model)), noted


@pytest.fixture
def place(tmp_path: Path) -> str:
    return str(tmp_path)


@pytest.fixture
def log(place: str) -> Iterator[EventStore]:
    with open_store(place, create=True) as store:
        ada = [("Put", {"to": "Ada", "n": n, "price": "1.25", "note": f"n{n}" if 0 < n < 5 else None}, {"a"}, 0) for n in range(6)]
        made(store, [("till-1", ada), ("till-2", [("Put", {"to": "Bob"}, {}, 1)])])
        yield store


def test_plain_events_leave_nothing_in_doubt_and_null_is_no_value_of_first_and_last(log: EventStore, place: str, sail: Sail) -> None:
    for projection in (GROUPED, TAGGED, SUMS, streams):
        noted, model = Noted(), ReadModel.under(place, projection)
        done = fill_on_sail(log, place, model, sail, observer=noted)
        assert filled(projection, lambda model: fill(log, model))[0] == rows(model)
        assert (noted, model.checkpoint(), model.delta_version()) == ([Applied(projection.name, 7, done.rows, 7, 7, done.seconds)], 7, 0)
    log.append("till-1", [Event("Put", {"to": "Ada", "n": 1})])
    catch_up(log, model)                           # goes on where Sail has left off


@pytest.mark.parametrize(
    ("select", "named"),
    [
        ("upper(type) as k, 1 as n from events", "upper"),
        ("type as k, (data ->> 'n')::bigint // 2 as n from events", "//"),
        ("type as k, round((data ->> 'n')::double) as n from events", "round"),
        ("type as k, try_cast(data ->> 'n' as bigint) as n from events", "TRY_CAST"),
        ("data ->> '$.a[0]' as k, 1 as n from events", "a[0]"),
        ("data ->> type as k, 1 as n from events", "type"),
        ("occurred_at::varchar as k, 1 as n from events", "occurred_at"),
        ("type as k, epoch(now())::bigint as n from events", "now"),
        ("type as k, if(type = 'a', random(), 1)::bigint as n from events", "random"),
        ("type as k, count(*) as n from events group by 1", "more than select"),
        ("type as k, 1 as n from (from events)", "more than select"),
        ("type as k, 1 as n from events order by 1", "more than select"),
        ("type as k, row_number() over () as n from events", "row_number"),
        ("type as k, (select 1) as n from events", "SELECT 1"),
        ("substring(type, 0) as k, 1 as n from events", "substring"),
        ("type[-2:] as k, 1 as n from events", "-2"),
        ("split_part(type, '', 1) as k, 1 as n from events", "split_part"),
        ("date_trunc('decade', occurred_at)::date::varchar as k, 1 as n from events", "decade"),
        ("type as k, day(occurred_at at time zone 'Nowhere') as n from events", "Nowhere"),
        ("type as k, 1 as n from events where occurred_at > '2013-01-01'", "2013-01-01"),
        ("type as k, 1 as n from events where type collate nocase = 'a'", "COLLATE"),
        ("type as k, length(list_transform(tags, lambda x: x)) as n from events", "list_transform"),
    ],
)
def test_what_is_not_proven_is_refused_when_it_is_declared_for_sail(select: str, named: str) -> None:
    projection = replace(SUMS, key=("k",), columns=pa.schema({"k": pa.string(), "n": pa.int64()}), form=Sql(f"select {select}", {"n": "max"}))
    with pytest.raises(DeclarationError, match="nobody has proven") as refused:
        check_on_sail(projection)
    assert named in refused.value.fault.problem
    assert "another executor" in refused.value.fault.remedy


def test_a_list_and_an_inexact_sum_are_refused_too() -> None:
    columns = pa.schema({"k": pa.string(), "n": pa.list_(pa.string())})
    with pytest.raises(DeclarationError, match="column n of list"):
        check_on_sail(replace(SUMS, key=("k",), columns=columns, form=Sql("select type as k, tags as n from events", {"n": "max"})))
    columns = pa.schema({"k": pa.string(), "n": pa.decimal128(38, 2)})
    with pytest.raises(DeclarationError, match="more than 28 digits"):
        check_on_sail(replace(SUMS, key=("k",), columns=columns, form=Sql("select type as k, position as n from events", {"n": "sum"})))
    of_tags = "select unnest(tags) as tag, 1 as events, position, position as largest from events"
    with pytest.raises(DeclarationError, match="unnest beside first or last"):
        check_on_sail(replace(TAGGED, form=Sql(of_tags, {"events": "count", "largest": "last"})))
    by_version = "select type as tag, 1 as events, version as largest, version + 0 as position from events"
    with pytest.raises(DeclarationError, match=r"version\" \+ 0"):
        check_on_sail(replace(TAGGED, form=Sql(by_version, {"events": "count", "largest": "last"})))


def test_a_rebuild_is_refused_before_anything_begins(log: EventStore, place: str) -> None:
    odd = replace(SUMS, form=Sql("select upper(type) as account, 1 as total from events", {"total": "sum"}))
    with pytest.raises(DeclarationError, match="upper"):
        rebuild(log, place, odd, executor=Sail("grpc://127.0.0.1:1"))
    assert Builds(place).of(odd) == []


def test_a_rebuild_on_sail_serves(log: EventStore, place: str, sail: Sail) -> None:
    noted = Noted()
    done = rebuild(log, place, SUMS, executor=sail, observer=noted)
    assert (done.build.state, done.filled.checkpoint, noted.whys()) == ("serving", 7, [])
    assert rows(ReadModel.under(place, SUMS)) == [{"account": "Ada", "total": 15}, {"account": "Bob", "total": None}]


@pytest.mark.parametrize(
    ("data", "why"),
    [
        ({"to": "Ada", "n": 1.0}, "data ->> n as BIGINT of 1.0"),
        ({"to": 1.5, "n": 1}, "data ->> to as VARCHAR of 1.5"),
        ({"to": None, "n": 1}, "a key is null"),
        ({"to": "Ada", "n": 10**19 // 11}, "out of bounds"),
    ],
)
def test_a_value_that_nothing_is_proven_for_is_left_to_duckdb_and_told(log: EventStore, place: str, sail: Sail, data: Any, why: str) -> None:
    log.append("till-3", [Event("Put", data) for _ in range(12)])
    noted = Noted()
    on_sail = filled(SUMS, lambda model: fill_on_sail(log, place, model, sail, observer=noted))
    assert on_sail == filled(SUMS, lambda model: fill(log, model))
    assert [why in told for told in noted.whys()] == [True], noted


def test_a_zone_whose_rules_differ_is_left_to_duckdb_and_told(log: EventStore, place: str, sail: Sail, monkeypatch: pytest.MonkeyPatch) -> None:
    select = "select (occurred_at at time zone 'America/New_York')::date::timestamptz as account, 1 as total from events"
    local = replace(SUMS, columns=pa.schema({"account": TIME, "total": pa.int64()}), form=Sql(select, {"total": "count"}))
    noted, ask = Noted(), SailClient.ask
    on_sail = [filled(local, lambda model: fill_on_sail(log, place, model, sail, observer=noted))]
    assert noted.whys() == []
    monkeypatch.setattr(SailClient, "ask", lambda client, query: ask(client, query.replace("America/New_York", "America/Toronto")))
    on_sail.append(filled(local, lambda model: fill_on_sail(log, place, model, sail, observer=noted)))
    assert noted.whys() == ["Sail and DuckDB have different rules for America/New_York"]
    assert on_sail == [filled(local, lambda model: fill(log, model))] * 2


def test_events_that_are_lifted_and_a_model_that_has_rows_are_not_for_sail(log: EventStore, place: str) -> None:
    cls = msgspec.defstruct("Put", [("to", str), ("n", int)])
    types = EventTypes(EventType("Put", cls, schema_version=2), steps=[Upcast("Put", 1, lambda data: {"n": 10, **data})])
    noted, nowhere = Noted(), Sail("grpc://127.0.0.1:1")
    model = MemoryModel(replace(SUMS, event_types=types, types=("Put",)))
    fill_on_sail(log, place, model, nowhere, observer=noted)
    assert rows(model) == [{"account": "Ada", "total": 15}, {"account": "Bob", "total": 10}]
    begun = ReadModel.under(place, SUMS)
    catch_up(log, begun, until=3)
    fill_on_sail(log, place, begun, nowhere, observer=noted)
    assert begun.checkpoint() == 7
    assert ["older shapes" in noted.whys()[0], "rows already" in noted.whys()[1]] == [True, True]


def test_a_sail_that_dies_midway_leaves_the_model_as_it_was(log: EventStore, place: str, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("pysail.flight")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    server = subprocess.Popen(
        [sys.executable, "-m", "pysail", "flight", "server", "--port", str(port)], env={**os.environ, "SAIL_MODE": "local-cluster", "RUST_LOG": "off"}
    )
    try:
        _wait_for(port)
        away, model = Sail(f"grpc://127.0.0.1:{port}"), ReadModel.under(place, SUMS)
        fill_on_sail(log, place, other := ReadModel.under(place, GROUPED), away)           # by workers of its own, as on a cluster
        assert other.checkpoint() == 7
        ask = SailClient.ask

        def kill(client: SailClient, query: str) -> Any:
            if "group by" in query:
                server.send_signal(signal.SIGKILL)
                server.wait()
            return ask(client, query)

        monkeypatch.setattr(SailClient, "ask", kill)
        with pytest.raises(ExecutorError, match="nothing was written: run it again"):
            fill_on_sail(log, place, model, away)
        assert (model.delta_version(), model.checkpoint()) == (-1, 0)
    finally:
        server.kill()
        server.wait()


def _wait_for(port: int) -> None:
    until_s = time.monotonic() + 60
    while time.monotonic() < until_s:
        try:
            socket.create_connection(("127.0.0.1", port)).close()
        except OSError:
            continue
        return
    raise TimeoutError(port)


def test_a_sail_that_sees_another_log_is_refused(log: EventStore, place: str, tmp_path_factory: pytest.TempPathFactory, sail: Sail) -> None:
    other = str(tmp_path_factory.mktemp("other"))
    with open_store(other, create=True) as shorter:
        shorter.append("till-1", [Event("Put", {})])
    with pytest.raises(ExecutorError, match=r"sees 1 events up to position 7.*same warehouse"):
        fill_on_sail(log, other, MemoryModel(SUMS), sail)
    with pytest.raises(ExecutorError, match="what it may read"):
        fill_on_sail(log, f"{other}/nothing", MemoryModel(SUMS), sail)


def test_a_sail_that_is_not_there_or_not_proven_is_refused(log: EventStore, place: str, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ExecutorError, match=r"grpc://127\.0\.0\.1:1 fails"):
        fill_on_sail(log, place, MemoryModel(SUMS), Sail("grpc://127.0.0.1:1"))

    for version, zone, problem in (("0.8.0", "UTC", "is Sail 0.8.0"), ("0.7.2", "Asia/Tokyo", "reads times in Asia/Tokyo")):
        said = pa.table({"version": [version], "zone": [zone]})
        monkeypatch.setattr(SailClient, "ask", lambda *_, said=said: said)
        with pytest.raises(ExecutorError, match=problem):
            SailClient(None, "grpc://head:1", OSError).check()
    monkeypatch.undo()
    monkeypatch.setitem(sys.modules, "pysail.flight", None)
    with pytest.raises(ExecutorError, match=r"alluvium\[endpoint\]"):
        fill_on_sail(log, place, MemoryModel(SUMS), Sail())


def test_without_an_address_one_is_begun_here(log: EventStore, place: str) -> None:
    pytest.importorskip("pysail.flight")
    assert filled(GROUPED, lambda model: fill_on_sail(log, place, model, Sail())) == filled(GROUPED, lambda model: fill(log, model))


def test_a_warehouse_in_an_object_store_is_read_too(s3_warehouse: str, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("pysail.flight")
    monkeypatch.setenv("AWS_ALLOW_HTTP", "true")   # as Sail asks for it, where the endpoint is no https
    with open_store(s3_warehouse, create=True) as store:
        store.append("till-1", [Event("Put", {"to": "Ada", "n": 2}), Event("Put", {"to": "Ada", "n": 2})])
        noted = Noted()
        make_build(store, s3_warehouse, SUMS, executor=Sail(), observer=noted)
        assert (rows(ReadModel.under(s3_warehouse, SUMS)), noted.whys()) == ([{"account": "Ada", "total": 4}], [])


def test_the_log_is_read_up_to_where_the_fill_ends(log: EventStore, place: str, sail: Sail, monkeypatch: pytest.MonkeyPatch) -> None:
    ask = SailClient.ask

    def and_one_more(client: SailClient, query: str) -> Any:
        if "group by" in query:
            with open_store(place) as another:
                another.append("till-1", [Event("Put", {"to": "Ada", "n": 100})])
                another.compact()
        return ask(client, query)

    monkeypatch.setattr(SailClient, "ask", and_one_more)
    model = MemoryModel(SUMS)
    fill_on_sail(log, place, model, sail)
    assert (rows(model)[0], model.checkpoint()) == ({"account": "Ada", "total": 15}, 7)

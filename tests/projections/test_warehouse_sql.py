"""One query, one position: the log, and everything that was made of it."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pytest

from projections import (
    DeadLetters,
    NeedsRebuildError,
    Park,
    Projection,
    ServingModel,
    Sql,
    WarehouseSql,
    catch_up,
    fill,
    follow,
    streams,
    wait_for,
)
from store import EVERY, Event, EventStore, Grant, InvalidEventError, QueryRefusedError, SqlLimits, open_store


def summing(version: int = 1) -> Projection:
    columns = pa.schema({"stream_id": pa.string(), "total": pa.int64()})
    form = Sql("select stream_id, (data ->> 'n')::bigint as total from events", {"total": "sum"})
    return Projection(name="totals", version=version, key=("stream_id",), columns=columns, form=form)


@pytest.fixture(params=["directory", "s3"])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    return str(tmp_path / "it's [a] place") if request.param == "directory" else str(request.getfixturevalue("s3_warehouse"))


@pytest.fixture
def log(place: str) -> Iterator[EventStore]:
    with open_store(place, create=True) as store:
        add(store, 6)
        yield store


@pytest.fixture
def warehouse(log: EventStore, place: str) -> Iterator[WarehouseSql]:
    with WarehouseSql(log, place, [summing()]) as warehouse:
        yield warehouse


def add(store: EventStore, count: int) -> None:
    for number in range(count):
        store.append(f"s-{number % 2}", [Event("Counted", {"n": number})])


def total(warehouse: WarehouseSql, as_of: int | None = None) -> tuple[int, int]:
    """Out of the read model, and out of the events: the same, whatever the position."""
    query = "select (select coalesce(sum(total), 0)::int from totals), (select coalesce(sum((data ->> 'n')::int), 0)::int from events)"
    [(of_rows, of_events)] = warehouse.sql(query, as_of=as_of).fetchall()
    return of_rows, of_events


def test_a_read_model_is_at_the_position_of_the_log_however_far_it_is(warehouse: WarehouseSql, log: EventStore, place: str) -> None:
    assert total(warehouse) == (15, 15)            # never made
    catch_up(log, ServingModel(place, summing()), until=4)
    assert total(warehouse) == (15, 15)            # behind
    catch_up(log, ServingModel(place, summing()))
    assert total(warehouse) == (15, 15)            # there
    assert ServingModel(place, summing()).checkpoint() == 6


def test_asking_changes_nothing(warehouse: WarehouseSql, log: EventStore, place: str) -> None:
    catch_up(log, ServingModel(place, summing()), until=4)
    before = ServingModel(place, summing()).now().delta_version()
    total(warehouse)
    assert (ServingModel(place, summing()).checkpoint(), ServingModel(place, summing()).now().delta_version()) == (4, before)


@pytest.mark.parametrize("position", range(7))
def test_every_past_is_there_of_everything(warehouse: WarehouseSql, log: EventStore, place: str, position: int) -> None:
    catch_up(log, ServingModel(place, summing()), until=3)
    of_rows, of_events = total(warehouse, position)
    assert of_rows == of_events == sum(range(position))


def test_a_time_is_the_last_position_recorded_by_then(warehouse: WarehouseSql, log: EventStore) -> None:
    then = log.read_all(2, until=3).read_all()["recorded_at"][0].as_py()
    [(events,)] = warehouse.sql("select count(*) from events", as_of=then).fetchall()
    assert (total(warehouse, events), events) == ((sum(range(events)),) * 2, log.position_at(then))


def test_a_position_to_come_is_the_head_as_in_the_store(warehouse: WarehouseSql) -> None:
    assert total(warehouse, 99) == (15, 15)


@pytest.mark.parametrize("as_of", [-1, True, 1.0, "2013-01-01", datetime(2013, 1, 1)])
def test_what_is_no_place_is_refused(warehouse: WarehouseSql, as_of: Any) -> None:
    with pytest.raises(InvalidEventError):
        warehouse.sql("from totals", as_of=as_of)


def test_what_every_warehouse_has_is_there_too(warehouse: WarehouseSql, log: EventStore, place: str) -> None:
    fill(log, ServingModel(place, streams))
    joined = "select s.version, t.total from streams s join totals t using (stream_id) order by stream_id"
    assert warehouse.sql(joined).fetchall() == [(3, 6), (3, 9)]
    assert warehouse.tables() == ["events", "snapshots", "dead_letters", "streams", "event_types", "totals"]
    assert warehouse.sql("select sum(events)::int from event_types").fetchall() == [(6,)]


def test_macros_params_and_read_models_go_together(warehouse: WarehouseSql) -> None:
    query = "select e.position, t.total from stream(?) e join totals t using (stream_id) order by e.position"
    assert warehouse.sql(query, ["s-1"]).fetchall() == [(2, 9), (4, 9), (6, 9)]


def test_queries_of_others_are_answered_from_read_models_and_kept_to_their_limits(warehouse: WarehouseSql, log: EventStore, place: str) -> None:
    catch_up(log, ServingModel(place, summing()))
    assert warehouse.ask("select sum(total)::int as total from totals").to_pylist() == [{"total": 15}]
    assert warehouse.ask("select sum(total)::int as total from totals", as_of=3).to_pylist() == [{"total": 3}]
    with pytest.raises(duckdb.Error, match="disabled by configuration"):
        warehouse.ask("select * from totals, read_text('/etc/passwd')")
    with pytest.raises(QueryRefusedError, match="more than 1 rows"):
        warehouse.ask("from totals", limits=SqlLimits(rows=1))


def test_nothing_is_opened_to_find_out_what_a_query_of_others_asks_for(warehouse: WarehouseSql, tmp_path: Path) -> None:
    """DuckDB looks into files to know their columns: what waits in a pipe would be gone."""
    os.mkfifo(tmp_path / "pipe.csv")
    pipe = os.open(tmp_path / "pipe.csv", os.O_RDWR | os.O_NONBLOCK)
    os.write(pipe, b"a,b\n1,2\n")
    with pytest.raises(duckdb.Error, match="disabled by configuration"):
        warehouse.ask(f"select * from totals, read_csv('{tmp_path}/pipe.csv')")
    assert os.read(pipe, 100) == b"a,b\n1,2\n"
    os.close(pipe)


def test_dead_letters_are_those_of_the_position(warehouse: WarehouseSql, log: EventStore, place: str) -> None:
    log.append("s-9", [Event("Counted", {"n": "many"})])
    catch_up(log, ServingModel(place, summing()), failing=Park(DeadLetters(place), attempts=1))
    assert warehouse.sql("select stream_id, position from dead_letters").fetchall() == [("s-9", 7)]
    assert warehouse.sql("from dead_letters", as_of=6).fetchall() == []


def test_a_read_model_that_other_code_made_is_refused_and_the_rest_is_not(log: EventStore, place: str) -> None:
    catch_up(log, ServingModel(place, summing(1)))
    with WarehouseSql(log, place, [summing(2)]) as warehouse:
        with pytest.raises(NeedsRebuildError):
            warehouse.sql("from totals")
        assert warehouse.sql("select count(*) from events").fetchall() == [(6,)]


def test_a_query_that_is_wrong_is_told_by_duckdb_and_costs_nothing(warehouse: WarehouseSql) -> None:
    with pytest.raises(duckdb.Error, match="totalz"):
        warehouse.sql("from totalz")
    assert total(warehouse) == (15, 15)


def test_queries_beside_writers_and_a_follower_see_one_position_each(log: EventStore, place: str, warehouse: WarehouseSql) -> None:
    stop, model = threading.Event(), ServingModel(place, summing())
    follower = threading.Thread(target=follow, args=(log, [model], stop, lambda *_: None))
    writer = threading.Thread(target=add, args=(log, 40))
    follower.start()
    writer.start()
    for _ in range(10):
        of_rows, of_events = total(warehouse)
        assert of_rows == of_events
    writer.join()
    wait_for(model, log.head(), 30)
    stop.set()
    follower.join()
    assert total(warehouse) == (15 + sum(range(40)),) * 2


def test_a_past_that_is_kept_is_not_folded_again(warehouse: WarehouseSql, log: EventStore, place: str, monkeypatch: pytest.MonkeyPatch) -> None:
    catch_up(log, ServingModel(place, summing()), until=3)
    catch_up(log, ServingModel(place, summing()))
    begun, read = list[int](), type(log).read_all

    def read_all(store: EventStore, after: int = 0, **chosen: Any) -> pa.RecordBatchReader:
        begun.append(after)
        return read(store, after, **chosen)

    monkeypatch.setattr(type(log), "read_all", read_all)
    assert [total(warehouse, position) for position in (2, 3, 4)] == [(1, 1), (3, 3), (6, 6)]
    assert begun == [0, 3]


def test_a_granted_query_sees_the_read_models_that_are_granted(warehouse: WarehouseSql, log: EventStore, place: str) -> None:
    grant = Grant(streams=["s-1"], tables={"totals": ["total"]})
    assert warehouse.ask("from totals", grant=grant).to_pylist() == [{"total": 9}]
    catch_up(log, ServingModel(place, summing()))
    assert warehouse.ask("from totals", grant=grant).to_pylist() == [{"total": 9}]
    assert warehouse.ask("select total::int as total from totals", as_of=3, grant=grant).to_pylist() == [{"total": 1}]
    assert warehouse.ask("from totals join (select count(*) as n from events) on true", grant=grant).to_pylist() == [{"total": 9, "n": 3}]
    for query in ("select stream_id from totals", "from streams", "from dead_letters", "from snapshots"):
        with pytest.raises(duckdb.Error):
            warehouse.ask(query, grant=grant)
    everything = Grant(categories=[EVERY], tables={"totals": EVERY, "dead_letters": EVERY, "streams": EVERY})
    assert len(warehouse.ask("from totals", grant=everything)) == 2
    assert warehouse.ask("from dead_letters", grant=everything).to_pylist() == []

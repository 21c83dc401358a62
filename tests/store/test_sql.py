"""`sql`: DuckDB over the log, at one position."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import duckdb
import pytest

from store import Event, EventStore, InvalidEventError, StoreClosedError
from store.schema import EVENTS
from store.sql import asked_for
from tests.store.facts import at_once, everything, fact, facts, table

AWKWARD = ["it's", 'a"b', "100%", "{x}", "a-ü-東京", "a\\b", "a$1", "?", "x; drop view events", "--", "a/b=c"]


def positions(store: EventStore, as_of: Any) -> list[int]:
    return [position for (position,) in store.sql("select position from events order by position", as_of=as_of).fetchall()]


def test_sql_events_have_the_columns_of_the_log_and_shard(store: EventStore) -> None:
    assert store.sql("from events").columns == [*EVENTS.names, "shard"]


def test_sql_events_are_those_that_read_all_gives(store: EventStore) -> None:
    store.append("a-ü", [Event("Häppened", {"n": 1.5}, tags=["x", "é"], occurred_at=datetime(2013, 1, 1, tzinfo=UTC), metadata={})])
    store.append_table(table(3))
    read = store.sql(f"select {', '.join(EVENTS.names)} from events order by position").to_arrow_table()
    assert read.to_pylist() == everything(store)


def test_sql_over_an_empty_log_has_no_rows(store: EventStore) -> None:
    assert store.sql("select * from events").fetchall() == []
    assert store.sql("select * from stream('a')").fetchall() == []


def test_sql_shard_is_a_prefix_of_the_stream_s_hash(store: EventStore) -> None:
    store.append("a", facts(1))
    assert store.sql("select starts_with('h' || md5(stream_id), shard) from events").fetchall() == [(True,)]


def test_sql_sees_what_was_just_appended(store: EventStore) -> None:
    for position in range(1, 6):
        store.append("a", facts(1))
        assert store.sql("select max(position) from events").fetchall() == [(position,)]


def test_sql_keeps_to_the_log_as_it_was_at_the_call(store: EventStore) -> None:
    store.append("a", facts(2))
    relation = store.sql("select count(*) from events")
    store.append("a", facts(3))
    store.sql("select count(*) from events", as_of=1).fetchall()
    assert relation.fetchall() == [(2,)]


def test_sql_reads_the_data_as_json(store: EventStore) -> None:
    store.append("a", [Event("Deposited", {"amount": amount}) for amount in (1, 2, 39)])
    assert store.sql("select sum((data ->> 'amount')::int) from events").fetchall() == [(42,)]


def test_sql_takes_params_in_order(store: EventStore) -> None:
    store.append("a", facts(3))
    assert store.sql("select version from events where stream_id = ? and version > ?", ["a", 2]).fetchall() == [(3,)]


def test_sql_takes_params_by_name(store: EventStore) -> None:
    store.append("a", facts(3))
    assert store.sql("select version from events where stream_id = $stream and version > $v", {"stream": "a", "v": 2}).fetchall() == [(3,)]


def test_sql_stream_gives_one_stream_by_version(store: EventStore) -> None:
    for number in range(3):
        store.append("a", [fact(number)])
        store.append("ab", [fact(number)])
    assert store.sql("select version, position from stream('a')").fetchall() == [(1, 1), (2, 3), (3, 5)]


@pytest.mark.parametrize("stream_id", AWKWARD)
def test_sql_takes_any_stream_id_as_a_param(store: EventStore, stream_id: str) -> None:
    store.append(stream_id, facts(2))
    store.append("a", facts(1))
    assert store.sql("select version from stream(?)", [stream_id]).fetchall() == [(1,), (2,)]
    assert store.sql("select stream_id from events where stream_id = $id limit 1", {"id": stream_id}).fetchall() == [(stream_id,)]


def test_sql_takes_a_quoted_stream_id(store: EventStore) -> None:
    store.append("it's 100%", facts(1))
    assert store.sql("select version from stream('it''s 100%') where stream_id like '%100\\%' escape '\\'").fetchall() == [(1,)]


@pytest.mark.parametrize("position", range(7))
def test_sql_as_of_a_position_ends_there(store: EventStore, position: int) -> None:
    for _ in range(5):
        store.append("a", facts(1))
    assert positions(store, position) == list(range(1, min(position, 5) + 1))


def test_sql_stream_is_as_of_the_same_place(store: EventStore) -> None:
    store.append("a", facts(5))
    assert store.sql("select max(version) from stream('a')", as_of=3).fetchall() == [(3,)]


def test_sql_as_of_a_time_ends_with_the_last_event_recorded_by_then(store: EventStore) -> None:
    for _ in range(3):
        store.append("a", facts(2))
    for row in everything(store):
        by_then = [other["position"] for other in everything(store) if other["recorded_at"] <= row["recorded_at"]]
        assert positions(store, row["recorded_at"]) == by_then
        assert store.position_at(row["recorded_at"]) == by_then[-1]


def test_sql_as_of_a_time_before_the_first_event_is_empty(store: EventStore) -> None:
    store.append("a", facts(2))
    early = everything(store)[0]["recorded_at"] - timedelta(microseconds=1)
    assert positions(store, early) == []
    assert store.position_at(early) == 0


def test_sql_as_of_a_time_to_come_is_all(store: EventStore) -> None:
    store.append("a", facts(2))
    later = datetime.now(UTC) + timedelta(days=1)
    assert positions(store, later) == [1, 2]
    assert store.position_at(later) == 2


def test_sql_as_of_understands_every_time_zone(store: EventStore) -> None:
    store.append("a", facts(2))
    recorded = everything(store)[0]["recorded_at"].astimezone(ZoneInfo("America/New_York"))
    assert positions(store, recorded) == [1, 2]


@pytest.mark.parametrize("as_of", [-1, True, 1.0, "2013-01-01", datetime(2013, 1, 1)])
def test_sql_refuses_as_of(store: EventStore, as_of: Any) -> None:
    with pytest.raises(InvalidEventError, match=r"as_of .* is no place in the log"):
        store.sql("select 1", as_of=as_of)


def test_position_at_of_an_empty_log_is_zero(store: EventStore) -> None:
    assert store.position_at(datetime.now(UTC)) == 0


def test_sql_from_many_threads(store: EventStore) -> None:
    store.append("a", facts(5))

    def count(number: int) -> list[Any]:
        return [store.sql("select count(*) from events", as_of=number % 5).fetchall()[0][0] for _ in range(10)]

    assert at_once(8, count) == [[number % 5] * 10 for number in range(8)]


def test_sql_of_a_closed_store_says_so(store: EventStore) -> None:
    store.close()
    with pytest.raises(StoreClosedError):
        store.sql("select 1")


@pytest.mark.parametrize(
    ("query", "asks"),
    [
        ("from snapshots", True), ('select s.state from main."Snapshots" s', True), ("select * from snapshots where version > $v", True),
        ("with all_of as (from snapshots) select * from all_of", True), ("describe snapshots", True), ("select 1; from snapshots", True),
        ("pivot snapshots on aggregate using count(*)", True), ("from stream(?) join snapshots using (stream_id, version)", True),
        ("select 'snapshots' from events", False), ("from stream('snapshots-1') -- of snapshots", False), ("select 1 as snapshots", False),
        ("with snapshots as (select 1) from snapshots", False), ("from events", False),
    ],
)  # fmt: skip
def test_sql_knows_which_queries_are_about_snapshots(query: str, asks: bool) -> None:
    with duckdb.connect() as connection:
        assert bool(asked_for(connection, query, ["snapshots"])) is asks

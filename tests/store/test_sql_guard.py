"""Queries of others read the warehouse and nothing else, and neither longer nor more than they may."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import duckdb
import pyarrow as pa
import pytest

from store import Event, EventStore, EventType, EventTypes, KeyTable, Personal, QueryRefusedError, SqlLimits, open_store

HUGE = "select count(*) from range(100000000000) as numbers(i) where hash(i) % 7 = 3"


@dataclass(frozen=True)
class Named:
    name: str


@pytest.fixture
def asked(store: EventStore) -> EventStore:
    store.append("s-1", [Event("Counted", {"n": n}) for n in (1, 2, 3)])
    return store


def test_a_select_is_answered_with_everything_at_hand(asked: EventStore) -> None:
    assert asked.ask("select sum((data ->> 'n')::int)::int as total from events").to_pylist() == [{"total": 6}]
    assert asked.ask("select version from stream(?) order by version", ["s-1"])["version"].to_pylist() == [1, 2, 3]
    assert asked.ask("select count(*) as n from replay()", as_of=2)["n"].to_pylist() == [2]
    assert asked.ask("with few as (from events limit 1) select count(*) as n from few, snapshots")["n"].to_pylist() == [0]


def test_the_newest_commit_is_seen_by_every_query(asked: EventStore) -> None:
    for head in (4, 5, 6):
        asked.append("s-2", [Event("Counted", {})])
        assert asked.ask("select max(position) as head from events")["head"].to_pylist() == [head]


@pytest.mark.parametrize(
    "query",
    [
        "from read_text('/etc/passwd')", "from glob('/etc/*')", "from read_json('/proc/self/environ')", "from read_csv('http://127.0.0.1:1/x')",
        "from read_parquet('s3://elsewhere/x')", "from sniff_csv('/etc/passwd')", "from which_secret('s3://b', 's3')",
    ],
)  # fmt: skip
def test_nothing_beyond_the_warehouse_is_read(asked: EventStore, query: str) -> None:
    with pytest.raises(duckdb.Error, match="disabled by configuration"):
        asked.ask(query)


def test_variables_of_python_are_not_seen(asked: EventStore) -> None:
    """DuckDB takes a name that it does not know for a variable, here one of the code that asks it: as own queries show."""
    given = {"mine": pa.table({"secret": [1]})}
    assert asked.sql("from source", tables=given).fetchall() == [(1,)]
    with pytest.raises(duckdb.Error, match="source does not exist"):
        asked.ask("from source", tables=given)
    assert asked.ask("from mine", tables=given).to_pylist() == [{"secret": 1}]


@pytest.mark.parametrize(
    ("query", "kind"),
    [
        ("create table t as select 1", "CREATE"), ("copy (select 1) to 'x.parquet'", "COPY"), ("set memory_limit = '9GB'", "SET"),
        ("attach 'x.db'", "ATTACH"), ("install httpfs", "LOAD"), ("pragma database_list", "PRAGMA"), ("select 1; select 2", "SELECT and SELECT"),
        ("", "empty"), ("drop view events", "DROP"), ("delete from events", "DELETE"),
    ],
)  # fmt: skip
def test_what_is_no_select_is_refused_with_what_it_is(asked: EventStore, query: str, kind: str) -> None:
    with pytest.raises(QueryRefusedError, match=f"it is {kind}: ask by one select"):
        asked.ask(query)


def test_no_file_beside_the_warehouse_is_read_and_none_is_written(tmp_path: Path) -> None:
    (tmp_path / "secret.txt").write_text("key")
    place = tmp_path / "it's [a] place"
    with open_store(place, create=True) as store:
        store.append("s-1", [Event("Counted", {})])
        before = sorted(place.rglob("*"))
        for path in (tmp_path / "secret.txt", place / ".." / "secret.txt", tmp_path / "it's [a] place too"):
            quoted = str(path).replace("'", "''")
            with pytest.raises(duckdb.Error, match="disabled by configuration"):
                store.ask(f"from read_text('{quoted}')")
        quoted = str(place / "mine.parquet").replace("'", "''")
        with pytest.raises(QueryRefusedError):
            store.ask(f"copy (select 1) to '{quoted}'")
        assert sorted(place.rglob("*")) == before


def test_the_keys_of_personal_data_are_not_read(tmp_path: Path) -> None:
    types = EventTypes(EventType("Named", Named, personal=Personal(["name"])))
    with open_store(tmp_path, create=True, privacy=types.privacy(KeyTable(tmp_path))) as store:
        store.append("s-1", [types.event(Named("Ada"))])
        key = next((tmp_path / "keys").glob("**/*.parquet"))
        for query in (f"from read_parquet('{key}')", f"from read_parquet('{tmp_path}/keys/**')", f"from glob('{tmp_path}/keys/*')", f"from '{key}'"):
            with pytest.raises(duckdb.Error, match="disabled by configuration"):
                store.ask(query)
        assert store.ask("select count(*) as events from events").to_pylist() == [{"events": 1}]


def test_one_that_takes_too_long_is_ended_and_the_next_one_is_answered(asked: EventStore) -> None:
    limits = SqlLimits(seconds=0.2)
    with pytest.raises(QueryRefusedError, match=r"longer than 0\.2 s"):
        asked.ask(HUGE, limits=limits)
    assert asked.ask("select 1 as one", limits=limits)["one"].to_pylist() == [1]


def test_one_that_takes_too_much_memory_is_ended(asked: EventStore) -> None:
    with pytest.raises(QueryRefusedError, match="more memory than 50,000,000 bytes"):
        asked.ask("select list(i) from range(100000000) as numbers(i)", limits=SqlLimits(memory_bytes=50_000_000))


def test_one_that_answers_with_too_much_is_refused(asked: EventStore) -> None:
    assert len(asked.ask("from range(3)", limits=SqlLimits(rows=3))) == 3
    with pytest.raises(QueryRefusedError, match="more than 3 rows"):
        asked.ask("from range(4)", limits=SqlLimits(rows=3))


@pytest.mark.parametrize("limits", [{"seconds": 0}, {"rows": -1}, {"memory_bytes": 0}])
def test_limits_that_allow_nothing_are_refused(limits: dict[str, int]) -> None:
    with pytest.raises(ValueError, match="give a number above 0"):
        SqlLimits(**limits)


def test_own_queries_stay_free(asked: EventStore, tmp_path: Path) -> None:
    (tmp_path / "note.txt").write_text("mine")
    asked.ask("select 1")
    assert asked.sql(f"select content from read_text('{tmp_path}/note.txt')").fetchall() == [("mine",)]

"""What a granted session sees is the granted part of what the full one sees: for any grant, in every store."""

from __future__ import annotations

import gc
import json
import tempfile
import time
import weakref
from collections.abc import Iterator, Mapping
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from store import EVERY, Event, EventStore, Grant, InvalidEventError, MemoryEventStore, QueryRefusedError, SqlLimits, open_logs, open_store
from store.append import Append
from store.grants.grant import PLACE
from store.grants.granted_rows import Scans
from store.reserved import append_own

STREAMS = ("order-1", "order-2", "order", "orders-1", "orde-9", "customer-1", "customer-1-a", "ümlaut-1", "o'brien-1")
TYPES = ("Placed", "Paid", "It's \"odd\"")
FIELDS = ("amount", "name", 'a/b~c"d', "näme", "it's")
VALUES: tuple[Any, ...] = (1, 2.5, None, "Ada", "x'\"y", [1, {"deep": None}], {"amount": 7}, True, 12345678901234567890, "")


def filled(store: EventStore) -> EventStore:
    for number in range(60):
        data = {name: VALUES[(number * 7 + at) % len(VALUES)] for at, name in enumerate(FIELDS) if (number >> at) % 2}
        event = Event(TYPES[number % 3], data, tags=[f"t:{number % 4}"], metadata={"by": number}, correlation_id=f"c-{number % 5}")
        store.append(STREAMS[number * 5 % len(STREAMS)], [event])
    append_own(store, [Append("$audit", [Event("Placed", {"amount": 1})])])
    return store


@pytest.fixture(scope="module", params=["memory", "delta", "merged", "logs"])
def full(request: pytest.FixtureRequest) -> Iterator[EventStore]:
    if request.param == "memory":
        with filled(MemoryEventStore()) as store:
            yield store
        return
    with tempfile.TemporaryDirectory() as folder, open_store(f"{folder}/it's", create=True) as store:
        if request.param == "logs":
            with open_logs(f"{folder}/it's") as logs:
                logs.split("h", 2)
                yield filled(logs)
            return
        filled(store)
        if request.param == "merged":
            store.maintain()
        yield store


names = st.sampled_from([*FIELDS, "nothing"])
fields_of = st.one_of(st.just(EVERY), st.lists(names, max_size=3).map(tuple))
grants = st.builds(
    Grant,
    categories=st.lists(st.sampled_from(["order", "customer", "orders", "ümlaut", "o'brien", "none", "$audit", EVERY]), max_size=2),
    streams=st.lists(st.sampled_from([*STREAMS, "nobody", "$audit", EVERY]), max_size=2),
    types=st.one_of(st.just((EVERY,)), st.lists(st.sampled_from([*TYPES, "Nothing"]), max_size=2)),
    columns=st.one_of(st.just(PLACE), st.lists(st.sampled_from([*PLACE, "tags", "metadata", "correlation_id"]), unique=True)),
    data=st.one_of(st.just(EVERY), st.dictionaries(st.sampled_from([*TYPES, EVERY]), fields_of, max_size=2)),
)


def category(stream_id: str) -> str:
    return stream_id.partition("-")[0]


def is_granted(grant: Grant, event: Mapping[str, Any]) -> bool:
    """The grant in Python, beside the one in SQL."""
    stream_id, own = event["stream_id"], event["stream_id"].startswith("$")
    streams = stream_id in grant.streams or category(stream_id) in grant.categories or (EVERY in (*grant.streams, *grant.categories) and not own)
    return streams and (EVERY in grant.types or event["type"] in grant.types)


def shown(grant: Grant, event: Mapping[str, Any]) -> dict[str, Any]:
    seen = {name: event[name] for name in grant.columns}
    if grant.data:
        whole = json.loads(event["data"])
        of = EVERY if isinstance(grant.data, str) else grant.data.get(event["type"], grant.data.get(EVERY, ()))
        seen["data"] = whole if of == EVERY else {name: value for name, value in whole.items() if name in of}
    return seen


def read(rows: pa.Table) -> list[dict[str, Any]]:
    return [row | ({"data": json.loads(row["data"])} if "data" in row else {}) for row in rows.to_pylist()]


def as_text(rows: list[dict[str, Any]]) -> list[str]:
    return sorted(json.dumps(row, default=str, sort_keys=True) for row in rows)


@settings(max_examples=25)
@given(grant=grants, as_of=st.one_of(st.none(), st.integers(0, 70)))
def test_a_granted_session_sees_the_granted_part_and_nothing_else(full: EventStore, grant: Grant, as_of: int | None) -> None:
    expected = [shown(grant, event) for event in full.ask("from events", as_of=as_of).to_pylist() if is_granted(grant, event)]
    if not grant.granted_columns:
        with pytest.raises(duckdb.CatalogException):
            full.ask("from events", grant=grant)
        return
    assert as_text(read(full.ask("from events", as_of=as_of, grant=grant))) == as_text(expected)


CONDITIONS = (
    "stream_id = 'order-1'", "stream_id in ('order-1', 'customer-1')", "stream_id >= 'order' and stream_id < 'orders'", "type = 'Paid'",
    "position > 10", "position between 5 and 20", "position = 7", "version >= 2", "stream_id = 'o''brien-1'", "stream_id <> 'order'",
    """type = 'It''s "odd"'""", "type = 'Paid' or position < 4", "not (type = 'Paid')", "position > 3 and position > 12 and type = 'Placed'",
    f"stream_id < '{'z' * 500}'", f"stream_id = '{'o' * 300}'", "stream_id < 'p\u2028\n\t' and stream_id > '\\'",
    "stream_id = 'ümlaut-1' and position <= 50", "stream_id = 'order-1' and stream_id = 'order-2'", "schema_version = 1",
)  # fmt: skip


@settings(max_examples=25)
@given(condition=st.lists(st.sampled_from(CONDITIONS), min_size=1, max_size=3).map(" and ".join))
def test_what_a_query_asks_narrows_what_is_read_and_never_the_answer(full: EventStore, condition: str) -> None:
    grant = Grant(categories=[EVERY])
    query = f"select position from events where ({condition}) and not starts_with(stream_id, '$') order by position"
    assert full.ask(query, grant=grant).to_pylist() == full.ask(query).to_pylist()


@pytest.mark.parametrize(
    "query",
    [
        "from stream('order-1')", "from stream('customer-1')", "from replay(3, 9)", "from category('order')", "from of_type('Paid')",
        "from as_of(20)", "from tagged('t:1')", "from conversation('c-1')", "select version, state from history('order-2')",
        "select stream_id, version, last_type, state from state('order')",
        "select * from stream('order-1') a asof join stream('order-2') b on a.position >= b.position",
    ],
)  # fmt: skip
def test_macros_are_those_of_the_granted_part(full: EventStore, query: str) -> None:
    """Where the streams that a macro is about are granted whole it answers as it does without a grant; else only of what is granted."""
    grant = Grant(categories=["order"], columns=[*PLACE, "tags", "correlation_id", "causation_id", "metadata"], data=EVERY)
    answered = full.ask(query, grant=grant)
    whole = full.ask(query)
    kept = [row for row in whole.to_pylist() if category(row.get("stream_id", "order")) == "order"]
    kept = [{name: value for name, value in row.items() if not name.startswith("shard")} for row in kept]
    assert as_text(answered.to_pylist()) == as_text(kept)


def test_a_macro_that_needs_more_columns_than_are_granted_does_not_exist(full: EventStore) -> None:
    grant = Grant(categories=["order"], columns=["position", "type"])
    assert len(full.ask("from replay(0, 70)", grant=grant)) > 0
    for query in ("from stream('order-1')", "from state('order')", "from conversation('c-1')", "from tagged('t:1')"):
        with pytest.raises(duckdb.CatalogException):
            full.ask(query, grant=grant)


def test_parameters_are_taken(full: EventStore) -> None:
    grant = Grant(streams=["order-1"])
    assert len(full.ask("from stream(?)", ["order-1"], grant=grant)) == len(full.ask("from stream('order-1')"))
    assert len(full.ask("from events where stream_id = $id", {"id": "order-2"}, grant=grant)) == 0


def test_a_query_may_name_the_events_often(full: EventStore) -> None:
    grant = Grant(categories=["order"])
    query = "select count(*)::int as n from events a join events b using (position) join stream('order-1') using (position)"
    assert full.ask(query, grant=grant).to_pylist() == [{"n": len(full.ask("from stream('order-1')"))}]


def test_as_of_a_time_holds_for_a_granted_session(full: EventStore) -> None:
    grant = Grant(categories=[EVERY])
    assert len(full.ask("from events", as_of=datetime(2000, 1, 1, tzinfo=UTC), grant=grant)) == 0
    assert len(full.ask("from events", as_of=datetime(2100, 1, 1, tzinfo=UTC), grant=grant)) == 60


def test_the_limits_hold_for_a_granted_session(full: EventStore) -> None:
    grant = Grant(categories=[EVERY])
    with pytest.raises(QueryRefusedError, match="more than 2 rows"):
        full.ask("from events", grant=grant, limits=SqlLimits(rows=2))
    with pytest.raises(QueryRefusedError, match="longer than"):
        full.ask("select count(*) from range(1000000000) a, range(1000000000) b, events", grant=grant, limits=SqlLimits(seconds=0.2))
    with pytest.raises(QueryRefusedError, match="more memory"):
        full.ask("select list(i) from range(100000000) as numbers(i)", grant=grant, limits=SqlLimits(memory_bytes=50_000_000))
    assert len(full.ask("from events", grant=grant)) == 60


def test_nothing_of_a_query_is_left_once_it_is_answered(full: EventStore, monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[weakref.ref[Scans]] = []
    begin = Scans.__init__

    def noted(scans: Scans, *given: Any) -> None:
        made.append(weakref.ref(scans))
        begin(scans, *given)

    monkeypatch.setattr(Scans, "__init__", noted)
    for query in ("from events", "select error('no') from events"):
        with suppress(duckdb.Error):
            full.ask(query, grant=Grant(categories=["order"]))
    patience = time.monotonic() + 30               # DuckDB's own threads let go of a query that failed when they come to it
    while any(one() is not None for one in made) and time.monotonic() < patience:
        gc.collect()
    assert [one() for one in made] == [None, None]


def test_a_granted_file_that_is_gone_is_told_without_its_name(tmp_path: Path) -> None:
    with open_store(tmp_path / "warehouse", create=True) as store:
        filled(store)
        store.compact()
        [*files] = (tmp_path / "warehouse/events").glob("shard=*/*.parquet")
        for file in files:
            file.unlink()
        with pytest.raises(Exception, match="cannot be read now") as failed:
            store.ask("from events", grant=Grant(categories=["order"]))
        assert str(tmp_path) not in str(failed.value)


@pytest.mark.parametrize(
    "fields",
    [
        {"categories": "order"}, {"categories": ["a-b"]}, {"streams": [""]}, {"streams": [1]}, {"columns": ["data"]}, {"columns": ["shard"]},
        {"columns": ["nothing"]}, {"data": "amount"}, {"data": {"Placed": "amount"}}, {"data": ["amount"]}, {"tables": ["totals"]},
        {"tables": {"events": "*"}}, {"types": None},
    ],
    ids=str,
)  # fmt: skip
def test_a_grant_that_makes_no_sense_is_refused(fields: dict[str, Any]) -> None:
    with pytest.raises(InvalidEventError):
        Grant(**fields)


def test_grants_that_grant_the_same_share_a_session() -> None:
    assert Grant(categories=["b", "a"], data={"x": ["y"]}).key == Grant(categories=("a", "b"), data={"x": ("y",)}).key
    assert Grant(categories=["a"]).key != Grant(streams=["a"]).key


def test_nothing_is_granted_by_default(full: EventStore) -> None:
    assert len(full.ask("from events", grant=Grant())) == 0
    assert "data" not in full.ask("from events", grant=Grant(categories=[EVERY])).column_names

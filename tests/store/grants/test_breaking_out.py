"""Attempts to see more than was granted. Each must be refused, or answer with what is granted; no answer and no error may hold a hidden value."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pytest

from store import EVERY, Event, EventStore, Grant, QueryRefusedError, StoreError, open_store

SECRETS = ("hush", "4711", "secret-stream", "SecretType", "tag:hidden", "by-whom", "corr-hidden", "totals-hidden")
GRANT = Grant(categories=["order"], types=["Placed"], columns=["position", "type", "stream_id", "version"], data={"Placed": ["amount"]})


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("place") / "warehouse"


@pytest.fixture(scope="module")
def store(place: Path) -> Iterator[EventStore]:
    hidden = {"tags": ["tag:hidden"], "metadata": {"by": "by-whom"}, "correlation_id": "corr-hidden"}
    with open_store(place, create=True) as store:
        store.append("order-1", [Event("Placed", {"amount": 10, "card": "hush"}, **hidden), Event("SecretType", {"amount": 4711}, **hidden)])
        store.append("secret-stream", [Event("Placed", {"amount": 4711, "card": "hush"}, **hidden)])
        store.append("order-2", [Event("Placed", {"amount": 20, "card": "hush"}, **hidden)])
        yield store


def attempt(store: EventStore, query: str, **given: Any) -> str:
    """All that comes back, as text."""
    try:
        return str(store.ask(query, grant=GRANT, **given).to_pylist())
    except (duckdb.Error, StoreError) as error:
        return str(error)


PLACES = "{place}/events/shard=h/*.parquet"
QUERIES = [
    # Files
    f"from read_parquet('{PLACES}')", f"from '{PLACES}'", f"from parquet_metadata('{PLACES}')", f"from parquet_schema('{PLACES}')",
    f"from parquet_file_metadata('{PLACES}')", f"from parquet_kv_metadata('{PLACES}')", f"from parquet_bloom_probe('{PLACES}', 'type', 'SecretType')",
    "from glob('{place}/**')", "from read_text('{place}/events/_delta_log/*.json')", "from read_blob('{place}/events/_delta_log/*.json')",
    "from read_json('{place}/events/_delta_log/*.json')", "from read_csv('{place}/events/_delta_log/*.json')", "from delta_scan('{place}/events')",
    f"from query('from read_parquet(''{PLACES}'')')", "from '{place}/events/_delta_log/00000000000000000001.json'",
    "from read_ndjson_objects('{place}/events/_delta_log/*.json')", "from sniff_csv('{place}/events/_delta_log/00000000000000000001.json')",
    "select read_text('{place}/events/_delta_log/00000000000000000001.json')", "from read_duckdb('{place}/x.db')",
    # Names that other sessions have
    "from located_events", "from recorded_events", "from kept_snapshots", "from snapshots", "from dead_letters", "from totals",
    "from streams", "from conversation('corr-hidden')", "from tagged('tag:hidden')", "from query_table('located_events')",
    "from query_table(['events', 'located_events'])",
    "select * from main.events", "select * from temp.events", "select * from memory.main.events", "select * from temp.main.located_events",
    # The catalogue
    "from duckdb_views()", "from duckdb_tables()", "from duckdb_columns() where not internal", "from duckdb_functions() where not internal",
    "from information_schema.tables", "from information_schema.columns", "from sqlite_master", "from pg_catalog.pg_views",
    "from duckdb_settings()", "from duckdb_databases()", "from duckdb_secrets()", "from duckdb_temporary_files()", "from duckdb_logs()",
    "from duckdb_external_file_cache()", "from duckdb_prepared_statements()", "from duckdb_variables()", "from pragma_table_info('events')",
    "from duckdb_constraints()", "from duckdb_indexes()", "from duckdb_dependencies()", "from duckdb_extensions()", "from duckdb_memory()",
    "from pragma_storage_info('events')", "from pragma_show('events')", "from duckdb_log_contexts()", "from pragma_last_profiling_output()",
    "select getenv('HOME')", "select getvariable('warehouse_root')", "select current_setting('allowed_directories')", "from duckdb_query_log()",
    "from duckdb_profiling_settings()", "from pragma_version()", "from pragma_database_size()", "from which_secret('s3://x', 's3')",
    # Sources of Python, and functions that are not for people
    "from python_arrow_scan()", "from python_map_function((from events))", "from arrow_scan(1, 2, 3)", "from pandas_scan(1)",
    "from seq_scan('events')",
    "from arrow_scan_dumb(1, 2, 3)", "from from_substrait('x')", "from from_substrait_json('x')", "from json_execute_serialized_sql('x')",
    "from json_execute_serialized_sql(json_serialize_sql('from events'))", "from repeat_row(1, num_rows = 1)",
    "from checkpoint()", "from force_checkpoint()", "from duckdb_optimizers()", "from summary((from events))",
    # Columns
    "select metadata from events", "select tags from events", "select correlation_id from events", "select shard from events",
    "select _shard, _first, _last from events", "select filename from events", "select file_row_number from events", "select rowid from events",
    "select columns('.*') from events", "select events from events", "select unnest(events) from events", "select data ->> 'card' from events",
    "select data -> '$..*' from events", "select json_keys(data) from events", "select json_extract(data, '$.*') from events",
    "summarize events", "describe events", "from (describe events)", "from (summarize events)", "show all tables", "from (show all tables)",
    "pivot events on type using count(*)", "select stats(type) from events", "select histogram(type) from events",
    "select min(type), max(type) from events",
    "select approx_top_k(type, 9) from events", "select stats(data), stats(stream_id), stats(position) from events",
    # Filters that fail on what they meet: a filter of theirs must never meet a hidden row
    "select * from events where case when data ->> 'card' = 'hush' then error('hush') else true end",
    "select * from events where case when type = 'SecretType' then error('found ' || type) else true end",
    "select * from events where case when stream_id like 'secret%' then error(stream_id) else true end",
    "select * from events where cast(stream_id as int) > 0", "select * from events where cast(data ->> 'amount' as date) is null",
    "select * from events where 1 / (case when type = 'SecretType' then 0 else 1 end) > 0 and cast(type as int) = 1",
    "select * from events where cast(replace(stream_id, 'order-', '') as int) > 0", "select cast(type as int) from events",
    "select * from events where stream_id::uuid is not null", "select * from events where try(error(type)) is null",
    "select * from events where position > 0 and error(data) is null limit 1", "select list(error(data)) from events",
    "select * from events order by error(data)", "select * from stream('secret-stream') where error(data) is null",
    "select * from events e where exists (from events x where x.position = e.position + 1 and error(x.data) is null)",
    "select * from events join (select 'SecretType' as type) using (type)", "select * from events where type = 'SecretType' or error(type) is null",
    "select * from events where type in (select 'SecretType') or position = 2", "select * from stream('order-1') where version = 2",
    "select * from replay(1, 3)", "select * from as_of(3) where position in (2, 3)", "select * from state('secret')",
    "select * from history('secret-stream')",
    "select state from state('order')", "select state from history('order-1')", "from of_type('SecretType')", "from category('secret')",
    "select * from events limit (select count(*) from events where type = 'SecretType')", "from events using sample 100%",
    # Plans
    "explain select * from events", "explain analyze select * from events", "from (explain from events)",
    # Not a select
    "create temp view mine as from events", "set variable x = 1", "attach '{place}/x.db'", "copy events to '{place}/x.csv'", "pragma database_list",
    "select 1; select * from events", "install delta", "load delta", "call pragma_version()", "prepare p as from events", "drop view events",
    "create or replace temp macro stream(id) as table from events", "export database '{place}/out'", "set allowed_directories = ['/']",
    "with mine as (insert into events select * from events) from mine", "execute p", "reset all", "use temp",
]  # fmt: skip


@pytest.mark.parametrize("query", QUERIES)
def test_an_attempt_shows_nothing_hidden(store: EventStore, place: Path, query: str) -> None:
    told = attempt(store, query.replace("{place}", str(place)))
    mine = query.replace("{place}", str(place))
    for secret in (*SECRETS, str(place), "_delta_log", ".parquet"):
        assert secret not in told.replace(mine, "") or secret in mine, told


def test_what_is_granted_is_there_all_the_same(store: EventStore) -> None:
    rows = store.ask("select * from events order by position", grant=GRANT).to_pylist()
    assert [(row["position"], row["data"]) for row in rows] == [(1, '{"amount":10}'), (4, '{"amount":20}')]


@pytest.mark.parametrize(
    "condition",
    [
        "error(stream_id || type || data) is null", "cast(data ->> 'amount' as int) // 0 is null and cast(type as int) = 0",
        "case when data ->> 'amount' = '4711' then error('seen') else true end",
        "case when position in (2, 3) then error('seen') else true end",
        "regexp_matches(data, 'hush') and error('seen') is null",
    ],
)  # fmt: skip
def test_no_expression_of_a_query_meets_a_hidden_row(store: EventStore, condition: str) -> None:
    """With a grant of no event at all every expression goes unused, whatever it would do to the rows that are there."""
    nothing = Grant(categories=["nobody"], columns=GRANT.columns, data=EVERY)
    assert len(store.ask(f"from events where {condition}", grant=nothing)) == 0
    assert len(store.ask(f"from replay(0, 10) where {condition}", grant=nothing)) == 0
    only = Grant(streams=["order-2"], columns=GRANT.columns, data={"Placed": ["amount"]})
    assert "seen" not in str(_told(store, f"from events where {condition}", only))


def _told(store: EventStore, query: str, grant: Grant) -> object:
    try:
        return store.ask(query, grant=grant).to_pylist()
    except (duckdb.Error, QueryRefusedError) as error:
        return error


def test_a_table_that_is_not_granted_is_not_there(store: EventStore) -> None:
    totals = {"totals": pa.table({"n": ["totals-hidden"]}), "sums": pa.table({"n": [1], "hidden": ["totals-hidden"]})}
    grant = Grant(tables={"sums": ["n"]})
    assert store.ask("from sums", tables=totals, grant=grant).to_pylist() == [{"n": 1}]
    for query in ("from totals", "select hidden from sums", "from query_table('totals')"):
        with pytest.raises(duckdb.Error) as refused:
            store.ask(query, tables=totals, grant=grant)
        assert "totals-hidden" not in str(refused.value)


def test_a_table_with_streams_shows_those_that_are_granted(store: EventStore) -> None:
    states = {"states": pa.table({"stream_id": ["order-1", "secret-stream"], "n": [1, 2]})}
    assert store.ask("from states", tables=states, grant=Grant(categories=["order"], tables={"states": ["n"]})).to_pylist() == [{"n": 1}]
    assert store.ask("from states", tables=states, grant=Grant(tables={"states": EVERY})).to_pylist() == []


def test_the_sources_of_another_grant_cannot_be_named(store: EventStore) -> None:
    """DuckDB keeps objects of Python by guessable names, one set for each database: so each grant has its own."""
    [whole] = store.ask("select sql from duckdb_views() where view_name = 'events'", grant=Grant(categories=[EVERY], data=EVERY)).to_pylist()
    name = whole["sql"].rpartition(" AS ")[2].strip("; ")
    stem, _, number = name.rpartition("_")
    for near in range(max(0, int(number) - 20), int(number) + 20):
        told = attempt(store, f"from {stem}_{near}")
        assert not any(secret in told for secret in SECRETS)


def test_snapshots_are_those_of_granted_streams(store: EventStore) -> None:
    from store import Aggregate, SnapshotPolicy, snapshot

    for category, id in (("order", "1"), ("secret", "stream")):
        counted = Aggregate(category=category, initial=0, evolve=lambda state, _: state + 1, snapshots=SnapshotPolicy())
        snapshot(store, counted, id)
    everything = Grant(categories=["order"], tables={"snapshots": EVERY})
    assert store.ask("select stream_id from snapshots", grant=everything).to_pylist() == [{"stream_id": "order-1"}]
    assert store.ask("select * from snapshots", grant=Grant(categories=["order"], tables={"snapshots": ["version"]})).to_pylist() == [{"version": 2}]
    with pytest.raises(duckdb.CatalogException):
        store.ask("from snapshots", grant=GRANT)


def test_no_table_function_of_duckdb_leads_out(store: EventStore, place: Path) -> None:
    """Whichever there are in this version of it, and in later ones."""
    listed = store.ask("select distinct function_name as name from duckdb_functions() where function_type like 'table%'", grant=GRANT)
    [file, *_] = map(str, (place / "events").glob("shard=*/*.parquet"))
    names = [name for name in listed["name"].to_pylist() if name != "test_all_types"]    # whose dates Python does not have
    assert {"read_parquet", "read_text", "glob", "duckdb_views"} <= set(names)
    for name in names:
        for query in (f'from "{name}"()', f"from \"{name}\"('{file}')", f'from "{name}"((from events))'):
            told = attempt(store, query).replace(query, "").replace(file, "")
            assert not [secret for secret in (*SECRETS, "_delta_log") if secret in told], query

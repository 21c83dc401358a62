"""What we write, others read: deltalake, DuckDB and Polars see the rows that the store sees."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import duckdb
import polars as pl
import pyarrow as pa
import pytest
from deltalake import DeltaTable

from store import Event, open_store
from store.delta.delta_store import DeltaEventStore
from store.schema import EVENTS


@pytest.fixture(params=["landing", "compacted", "checkpointed"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[DeltaEventStore]:
    with open_store(str(tmp_path), create=True) as store:
        for number in range(12):
            store.append(
                f"s-{number % 3}",
                [Event("Häppened", {"n": number}, tags=["a", "b"][: number % 3], occurred_at=datetime(2013, 1, 1, number, tzinfo=UTC))],
            )
        rows = 1_000
        store.append_table(pa.table({"stream_id": [f"b-{n % 7}" for n in range(rows)], "type": ["T"] * rows, "data": ['{"x":1}'] * rows}))
        if request.param != "landing":
            store.compact()
        if request.param == "checkpointed":
            store.checkpoint()
            store.append("late", [Event("T", {})])
        yield store


@pytest.fixture
def rows(store: DeltaEventStore) -> list[dict[str, object]]:
    return store.read_all().read_all().to_pylist()


def test_deltalake_reads_the_same_rows(store: DeltaEventStore, rows: list[dict[str, object]], tmp_path: Path) -> None:
    files = pa.fs.SubTreeFileSystem(str(tmp_path / "events"), pa.fs.LocalFileSystem())
    table = DeltaTable(str(tmp_path / "events")).to_pyarrow_table(filesystem=files).select(EVENTS.names).sort_by("position")
    assert table.to_pylist() == rows


def test_duckdb_reads_the_same_rows(store: DeltaEventStore, rows: list[dict[str, object]], tmp_path: Path) -> None:
    with duckdb.connect() as connection:
        connection.execute("set TimeZone = 'UTC'")
        files = DeltaTable(str(tmp_path / "events")).file_uris()
        query = f"select {', '.join(EVENTS.names)} from read_parquet(?) order by position"
        read = connection.sql(query, params=[files]).to_arrow_table()
    assert read.to_pylist() == rows


def test_polars_reads_the_same_rows(store: DeltaEventStore, rows: list[dict[str, object]], tmp_path: Path) -> None:
    frame = pl.read_delta(str(tmp_path / "events")).select(EVENTS.names).sort("position")
    assert frame.to_dicts() == rows


def test_deltalake_counts_by_our_statistics(store: DeltaEventStore, rows: list[dict[str, object]], tmp_path: Path) -> None:
    assert DeltaTable(str(tmp_path / "events")).count() == len(rows)


def test_delta_version_carries_the_head(store: DeltaEventStore, tmp_path: Path) -> None:
    assert DeltaTable(str(tmp_path / "events")).transaction_version("log") == store.head()


def test_deltalake_prunes_by_our_statistics(store: DeltaEventStore, rows: list[dict[str, object]], tmp_path: Path) -> None:
    """A predicate on any column with statistics finds its rows: the bounds are true."""
    table = DeltaTable(str(tmp_path / "events"))
    for wanted in rows[::97]:
        for column in ("position", "version", "stream_id", "type"):
            value = wanted[column]
            literal = f"'{value}'" if isinstance(value, str) else str(value)
            found = pl.scan_delta(table).sql(f"select position from self where {column} = {literal}").collect()["position"]
            assert wanted["position"] in found.to_list()


@pytest.mark.parametrize("name", [name for name in EVENTS.names if name not in ("tags", "correlation_id", "causation_id", "metadata")])
def test_a_filter_by_arrow_finds_the_rows_whatever_column_it_is_about(
    store: DeltaEventStore, rows: list[dict[str, object]], tmp_path: Path, name: str
) -> None:
    files = pa.fs.SubTreeFileSystem(str(tmp_path / "events"), pa.fs.LocalFileSystem())
    value = rows[5][name]
    found = DeltaTable(str(tmp_path / "events")).to_pyarrow_table(filesystem=files, filters=[(name, "=", value)])
    assert len(found) == sum(row[name] == value for row in rows)

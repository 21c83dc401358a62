"""A checkpoint says what the commits below it say: to us, and to other Delta readers."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import polars as pl
import pyarrow as pa
import pytest
from deltalake import DeltaTable

from store import open_store
from store.delta import checkpoint
from store.delta.delta_store import DeltaEventStore
from store.schema import EVENTS
from store.storage.local_objects import LocalObjects
from tests.store.facts import everything, facts, table


@pytest.fixture
def store(tmp_path: Path) -> Iterator[DeltaEventStore]:
    with open_store(str(tmp_path), create=True) as store:
        for number in range(12):
            store.append(f"s-{number % 3}", facts(2))
        store.compact()
        store.append("s-0", facts(1))
        yield store


def forget_commits(folder: Path) -> None:
    """All that a clean-up may take: not the commit of the checkpoint itself."""
    log = folder / "events" / "_delta_log"
    newest = max(file.name[:20] for file in log.glob("*.checkpoint.parquet"))
    for commit in log.glob("*.json"):
        if commit.stem < newest:
            commit.unlink()


def test_opening_needs_the_checkpoint_alone(store: DeltaEventStore, tmp_path: Path) -> None:
    before = everything(store)
    store.checkpoint()
    forget_commits(tmp_path)
    with open_store(str(tmp_path), create=True) as other:
        assert everything(other) == before
        assert other.append("s-0", facts(1), 9).position == len(before) + 1


def test_checkpoint_of_a_checkpoint_says_the_same(store: DeltaEventStore, tmp_path: Path) -> None:
    """Table id and creation time, live and replaced files go from one to the next."""
    store.checkpoint()
    objects = LocalObjects(tmp_path / "events")
    first = checkpoint.read(objects)
    forget_commits(tmp_path)
    with open_store(str(tmp_path)) as other:
        other.append("s-1", facts(1))
        other.checkpoint()
    second = checkpoint.read(objects)
    assert first is not None
    assert second is not None
    assert second.table == first.table
    assert second.retired == first.retired != []
    assert set(second.segments) > set(first.segments)


def test_deltalake_reads_the_checkpoint(store: DeltaEventStore, tmp_path: Path) -> None:
    before = everything(store)
    store.checkpoint()
    forget_commits(tmp_path)
    delta = DeltaTable(str(tmp_path / "events"))
    assert delta.version() == store._log.version
    assert delta.metadata().partition_columns == ["shard"]
    assert delta.protocol().writer_features == ["alluvium"]
    assert delta.transaction_version("log") == len(before)
    files = pa.fs.SubTreeFileSystem(str(tmp_path / "events"), pa.fs.LocalFileSystem())
    assert delta.to_pyarrow_table(filesystem=files).select(EVENTS.names).sort_by("position").to_pylist() == before


def test_polars_reads_the_checkpoint(store: DeltaEventStore, tmp_path: Path) -> None:
    before = everything(store)
    store.checkpoint()
    forget_commits(tmp_path)
    assert pl.scan_delta(str(tmp_path / "events")).select(EVENTS.names).sort("position").collect().to_dicts() == before


def test_deltalake_can_checkpoint_and_clean_up_after_us(store: DeltaEventStore, tmp_path: Path) -> None:
    before = everything(store)
    store.checkpoint()
    store.append("s-1", facts(1))
    DeltaTable(str(tmp_path / "events")).create_checkpoint()
    forget_commits(tmp_path)
    with open_store(str(tmp_path)) as other:
        assert everything(other)[:-1] == before
        other.checkpoint()


def test_size_depends_on_the_files_that_are_there_not_on_those_that_were(tmp_path: Path) -> None:
    with open_store(str(tmp_path), create=True) as store:
        sizes = []
        for _ in range(4):
            for _ in range(50):
                store.append("a", facts(1))
            store.compact()
            store.vacuum(retention_s=0)
            sizes.append(store.checkpoint().data_bytes)
    assert sizes[-1] < 1.1 * sizes[0]


def test_large_checkpoint_is_read_back(tmp_path: Path) -> None:
    with open_store(str(tmp_path), create=True) as store:
        for number in range(300):
            store.append_table(table(2, stream_id=[f"s-{number}"] * 2))
        store.checkpoint()
        with open_store(str(tmp_path)) as other:
            assert everything(other) == everything(store)

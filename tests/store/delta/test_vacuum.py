"""Vacuum removes what nobody needs: not what is live, not what a reader may hold, not what a writer is about to name."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from deltalake import DeltaTable

from store import open_store
from store.delta import compaction, upkeep
from store.delta.actions import Segment
from store.delta.delta_store import DeltaEventStore
from store.delta.log import Log, Nobody
from store.delta.segment import write_segments
from store.delta.segment_files import SegmentFiles
from store.observer import LoggingObserver
from store.storage.local_objects import LocalObjects
from store.times import now
from tests.store.delta.faults import FaultyObjects, overtaken
from tests.store.facts import everything, facts


@pytest.fixture
def store(tmp_path: Path) -> Iterator[DeltaEventStore]:
    with open_store(str(tmp_path), create=True) as store:
        for _ in range(10):
            store.append("a", facts(1))
        yield store


def data_files(folder: Path) -> set[str]:
    return {str(file.relative_to(folder / "events")) for file in (folder / "events").rglob("*.parquet") if "_delta_log" not in str(file)}


def live(store: DeltaEventStore) -> set[str]:
    return {segment.path for segment in store._log.segments()}


def orphan(store: DeltaEventStore) -> Segment:
    """A file that a writer left behind when it was killed."""
    return write_segments(store._objects, store.read_all().read_all())[0]


def test_replaced_files_go_after_the_retention(store: DeltaEventStore, tmp_path: Path) -> None:
    store.compact()
    assert store.vacuum(retention_s=0).files == 10
    assert data_files(tmp_path) == live(store)


def test_replaced_files_stay_within_the_retention(store: DeltaEventStore, tmp_path: Path) -> None:
    before = data_files(tmp_path)
    store.compact()
    assert store.vacuum(retention_s=3600).files == 0
    assert data_files(tmp_path) == before | live(store)


def test_replaced_files_beyond_a_number_go_at_once(store: DeltaEventStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(upkeep, "KEPT_FILES", 5)
    store.compact()
    assert store.vacuum(retention_s=3600).files == 10     # they were replaced at one moment
    assert data_files(tmp_path) == live(store)


def test_files_that_no_commit_names_go(store: DeltaEventStore, tmp_path: Path) -> None:
    left = orphan(store)
    assert store.vacuum().files == 0               # young: perhaps somebody wants to look at it
    assert store.vacuum(retention_s=0).files == 1
    assert left.path not in data_files(tmp_path)
    assert data_files(tmp_path) == live(store)


def test_half_written_files_of_killed_puts_go_once_they_are_old(store: DeltaEventStore, tmp_path: Path) -> None:
    old, young = (tmp_path / "events" / "_delta_log" / f".{digit * 32}.tmp" for digit in "ab")
    for file in (old, young):
        file.write_bytes(b"half")
    os.utime(old, (time.time() - 3_700,) * 2)
    assert store.vacuum().files == 1
    assert (old.exists(), young.exists()) == (False, True)
    store.purge()                                  # of what was erased nothing is left then, whoever was killed while writing it
    assert not young.exists()


def test_files_that_are_not_ours_stay(store: DeltaEventStore, tmp_path: Path) -> None:
    strange = tmp_path / "events" / "shard=h" / "notes.parquet"
    strange.write_bytes(b"mine")
    store.vacuum(retention_s=0)
    assert strange.exists()


def test_dry_run_tells_and_removes_nothing(store: DeltaEventStore, tmp_path: Path) -> None:
    store.compact()
    orphan(store)
    there, version = data_files(tmp_path), store._log.version
    would = store.vacuum(retention_s=0, dry_run=True)
    assert data_files(tmp_path) == there
    assert store._log.version == version
    done = store.vacuum(retention_s=0)
    assert (would.files, would.data_bytes) == (done.files, done.data_bytes) == (11, done.data_bytes)


def test_vacuumed_files_leave_the_state_of_every_handle(store: DeltaEventStore, tmp_path: Path) -> None:
    with open_store(str(tmp_path)) as other:
        store.compact()
        store.vacuum(retention_s=0)
        other.head()
        assert other._log.retired() == store._log.retired() == []
        assert other._log.vacuumed == store._log.vacuumed > 0


def test_reads_and_appends_go_on_after_a_vacuum(store: DeltaEventStore, tmp_path: Path) -> None:
    before = everything(store)
    with open_store(str(tmp_path)) as other:
        other.read_stream("a")
        store.compact()
        store.vacuum(retention_s=0)
        assert everything(other) == before
        assert other.append("a", facts(1), 10).position == 11
    assert DeltaTable(str(tmp_path / "events")).count() == 11


def test_vacuum_between_data_and_commit_of_an_append_costs_it_nothing(store: DeltaEventStore, tmp_path: Path) -> None:
    """The data file is written, its commit is not: the vacuum takes the version, so the writer writes anew."""
    objects = FaultyObjects(LocalObjects(tmp_path / "events"))
    objects.faults.append(overtaken(lambda: store.vacuum(retention_s=0)))
    with DeltaEventStore(objects, LoggingObserver(), now) as writer:
        assert writer.append("a", facts(1), 10).version == 11
    assert len(everything(store)) == 11
    assert data_files(tmp_path) == live(store)


def test_vacuum_between_data_and_commit_of_a_merge_makes_it_give_way(store: DeltaEventStore, tmp_path: Path) -> None:
    """Its new files may be gone; they must never be named."""
    objects = FaultyObjects(LocalObjects(tmp_path / "events"))
    objects.faults.append(overtaken(lambda: store.vacuum(retention_s=0)))
    log = Log(objects, Nobody())
    chosen = compaction.mergeable(log.segments())
    assert compaction.merge(objects, log, SegmentFiles(objects), chosen) is None
    assert len(everything(store)) == 10
    assert data_files(tmp_path) == live(store)


def test_state_from_a_checkpoint_trusts_no_file_written_before_it(store: DeltaEventStore, tmp_path: Path) -> None:
    """The vacuum may lie below the checkpoint, where nobody sees it any more."""
    store.vacuum()
    store.checkpoint()
    assert Log(LocalObjects(tmp_path / "events"), Nobody()).vacuumed == store._log.version


def test_writer_vacuums_by_itself(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(upkeep, "CLEAN_EVERY_S", 0.0)
    monkeypatch.setattr(upkeep, "KEPT_FILES", 20)
    with open_store(str(tmp_path), create=True) as store:
        for _ in range(400):
            store.append("a", facts(1))
    with open_store(str(tmp_path)) as store:
        assert len(everything(store)) == 400
        assert len(data_files(tmp_path)) < 250

"""The snapshots' table: what others read of it, who wins, what a crash leaves, how old an answer may be."""

from __future__ import annotations

import math
import os
import random
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import duckdb
import polars as pl
import pytest
from deltalake import DeltaTable

import store
from store import SNAPSHOTS, StorageError, StoreClosedError, open_store
from store.observer import Checkpointed, Vacuumed
from store.snapshots import upkeep
from store.snapshots.delta_snapshots import DeltaSnapshots
from store.storage.local_objects import LocalObjects
from store.tables import table_log
from tests.store.delta.faults import FaultyObjects, lost_reply, lost_request, overtaken, repeated_by_the_client
from tests.store.facts import at_once
from tests.store.snapshots.conftest import Seen
from tests.store.snapshots.states import many, snap, versions

HOUSE = Path(store.__file__).parents[1]
Open = Callable[[], DeltaSnapshots]


@pytest.fixture
def objects(tmp_path: Path) -> FaultyObjects:
    return FaultyObjects(LocalObjects(tmp_path / "snapshots"))


@pytest.fixture
def faulty(objects: FaultyObjects, seen: Seen) -> DeltaSnapshots:
    return DeltaSnapshots(objects, seen, fresh_s=0.0)


# Others' readers --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("state", ["landing", "compacted", "checkpointed"])
def test_others_read_the_same_rows(snapshots: DeltaSnapshots, tmp_path: Path, state: str) -> None:
    for version in range(1, 4):
        snapshots.save([snap(version, f"ä-{number}") for number in range(9)])
    snapshots.save_table(many(2_500))
    if state != "landing":
        snapshots.compact()
    if state == "checkpointed":
        snapshots.checkpoint()
        for commit in sorted((tmp_path / "snapshots" / "_delta_log").glob("*.json"))[:-1]:
            commit.unlink()
    rows = sorted(snapshots.newest("Account", "ä-3") + snapshots.newest("Account", "m-7"), key=lambda s: (s.stream_id, s.version))
    uri, wanted = str(tmp_path / "snapshots"), ["m-7", "ä-3"]
    frame = pl.scan_delta(uri).filter(pl.col("stream_id").is_in(wanted)).select(SNAPSHOTS.names).sort("stream_id", "version").collect()
    assert [(row["stream_id"], row["version"], row["state"]) for row in frame.to_dicts()] == [(s.stream_id, s.version, s.state) for s in rows]
    delta = DeltaTable(uri)
    assert delta.count() == 2_527
    assert delta.metadata().partition_columns == ["shard"]
    with duckdb.connect() as connection:
        query = "select stream_id, version, state from read_parquet(?) where stream_id in ('m-7', 'ä-3') order by all"
        assert connection.execute(query, [delta.file_uris()]).fetchall() == [(s.stream_id, s.version, s.state) for s in rows]


def test_foreign_writers_are_refused(snapshots: DeltaSnapshots, tmp_path: Path) -> None:
    snapshots.save([snap(1), snap(2)])
    uri = str(tmp_path / "snapshots")
    for write in (
        lambda: pl.read_delta(uri).write_delta(uri, mode="append"),
        lambda: DeltaTable(uri).optimize.compact(),
        lambda: DeltaTable(uri).delete("version = 1"),
    ):
        with pytest.raises(Exception, match="alluvium"):
            write()
    assert versions(snapshots.newest("Account", "a-1")) == [2, 1]


# Freshness ----------------------------------------------------------------------------------------------------------


def test_own_saves_are_seen_at_once_and_others_after_a_while(tmp_path: Path, seen: Seen, monkeypatch: pytest.MonkeyPatch) -> None:
    now_s = [0.0]
    one, other = (DeltaSnapshots(LocalObjects(tmp_path / "snapshots"), seen, fresh_s=1.0) for _ in range(2))
    monkeypatch.setattr(other._table, "_clock_s", lambda: now_s[0])
    assert other.newest("Account", "a-1") == []
    one.save([snap(1)])
    assert versions(one.newest("Account", "a-1")) == [1]
    now_s[0] = 0.9
    assert other.newest("Account", "a-1") == []
    now_s[0] = 1.1
    assert versions(other.newest("Account", "a-1")) == [1]


def test_reader_with_an_old_list_finds_what_was_merged_and_vacuumed(tmp_path: Path, seen: Seen) -> None:
    writer, reader = (DeltaSnapshots(LocalObjects(tmp_path / "snapshots"), seen, fresh_s=1e9) for _ in range(2))
    for version in (1, 2, 3):
        writer.save([snap(version)])
    assert versions(reader.newest("Account", "a-1", version=1)) == [1]
    writer.compact()
    writer.vacuum(retention_s=0.0)
    assert versions(reader.newest("Account", "a-1")) == [3, 2, 1]
    assert seen.failures() == []


def test_store_s_snapshots_lie_beside_its_events(tmp_path: Path) -> None:
    with open_store(str(tmp_path), create=True) as warehouse:
        assert not (tmp_path / "snapshots").exists()
        warehouse.snapshots.save([snap(1)])
    with open_store(str(tmp_path)) as warehouse:
        assert versions(warehouse.snapshots.newest("Account", "a-1")) == [1]
    assert DeltaTable(str(tmp_path / "snapshots")).count() == 1


# Races and faults -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("fault", [lost_reply, lost_request, repeated_by_the_client])
def test_save_lands_whatever_reply_was_lost(faulty: DeltaSnapshots, objects: FaultyObjects, opened: Open, fault) -> None:  # type: ignore[no-untyped-def]
    objects.faults = [fault]
    faulty.save([snap(1)])
    assert versions(opened().newest("Account", "a-1")) == [1]


def test_mute_storage_is_a_storage_error(faulty: DeltaSnapshots, objects: FaultyObjects, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(table_log, "SETTLE_S", 0.0)
    objects.faults = [lost_request]
    with pytest.raises(StorageError, match="save them again or go on without"):
        faulty.save([snap(1)])
    faulty.save([snap(1)])
    assert versions(faulty.newest("Account", "a-1")) == [1]


def test_save_goes_behind_a_quicker_one(faulty: DeltaSnapshots, objects: FaultyObjects, opened: Open) -> None:
    objects.faults = [overtaken(lambda: opened().save([snap(1)])), overtaken(lambda: opened().save([snap(2)]))]
    faulty.save([snap(3)])
    assert versions(opened().newest("Account", "a-1")) == [3, 2, 1]


def test_save_beside_a_vacuum_writes_its_file_again(faulty: DeltaSnapshots, objects: FaultyObjects, opened: Open) -> None:
    """The vacuum began after the file was written and may have taken it for one that nobody names."""
    opened().save([snap(1)])
    objects.faults = [overtaken(lambda: opened().vacuum(retention_s=0.0, unnamed_s=-1e6))]
    faulty.save([snap(2)])
    assert versions(opened().newest("Account", "a-1")) == [2, 1]


def test_compaction_beside_a_save_loses_nothing(faulty: DeltaSnapshots, objects: FaultyObjects, opened: Open) -> None:
    for version in (1, 2):
        faulty.save([snap(version)])
    objects.faults = [overtaken(lambda: opened().save([snap(3)]))]
    faulty.compact()
    assert versions(opened().newest("Account", "a-1")) == [3, 2, 1]


def test_two_compactions_at_once_double_nothing(faulty: DeltaSnapshots, objects: FaultyObjects, opened: Open) -> None:
    for version in (1, 2, 3):
        faulty.save([snap(version)])
    objects.faults = [overtaken(lambda: opened().compact())]
    faulty.compact()
    assert sum(file.rows for file in opened()._table.writable().files()) == 3


def test_compaction_beside_forgetting_brings_nothing_back(faulty: DeltaSnapshots, objects: FaultyObjects, opened: Open) -> None:
    for version in (1, 2):
        faulty.save([snap(version), snap(version, "b-1")])
    objects.faults = [overtaken(lambda: opened().forget(stream_ids=["a-1"]))]
    faulty.compact()
    assert opened().newest("Account", "a-1") == []
    assert versions(opened().newest("Account", "b-1")) == [2, 1]


def test_crash_between_file_and_commit_leaves_a_file_that_a_vacuum_takes(
    faulty: DeltaSnapshots, objects: FaultyObjects, opened: Open, tmp_path: Path
) -> None:
    class KilledError(BaseException): ...

    def killed(real: object, path: str, data: bytes) -> bool:
        raise KilledError

    faulty.save([snap(1)])
    objects.faults = [killed]
    with pytest.raises(KilledError):
        faulty.save([snap(2)])
    assert versions(opened().newest("Account", "a-1")) == [1]
    assert len(list((tmp_path / "snapshots" / "shard=h").iterdir())) == 2
    opened().vacuum(unnamed_s=-1e6)
    assert len(list((tmp_path / "snapshots" / "shard=h").iterdir())) == 1
    assert versions(opened().newest("Account", "a-1")) == [1]


def test_refused_writes_are_a_storage_error_and_reading_goes_on(faulty: DeltaSnapshots, objects: FaultyObjects) -> None:
    def full(real: object, path: str, data: bytes) -> bool:
        raise StorageError("the disk is full")

    faulty.save([snap(1)])
    objects.faults = [full]
    with pytest.raises(StorageError, match="the disk is full"):
        faulty.save([snap(2)])
    assert versions(faulty.newest("Account", "a-1")) == [1]


def test_after_a_failed_fsync_nothing_is_saved_and_reading_goes_on(
    faulty: DeltaSnapshots, objects: FaultyObjects, monkeypatch: pytest.MonkeyPatch
) -> None:
    def closed(path: str, data: object) -> None:
        raise StoreClosedError("an fsync failed: open the store again")

    faulty.save([snap(1)])
    monkeypatch.setattr(objects, "put", closed, raising=False)
    with pytest.raises(StorageError, match="open the store again"):
        faulty.save([snap(2)])
    assert versions(faulty.newest("Account", "a-1")) == [1]


def test_refused_upkeep_does_not_fail_the_save(faulty: DeltaSnapshots, objects: FaultyObjects, seen: Seen) -> None:
    def full(real: object, path: str, data: bytes) -> bool:
        raise StorageError("the disk is full")

    for version in range(1, 16):
        faulty.save([snap(version)])
    objects.faults = [lambda real, path, data: real.put_if_absent(path, data), full]
    faulty.save([snap(16)])
    assert seen.failures() == ["the disk is full"]
    faulty.save([snap(17)])
    assert versions(faulty.newest("Account", "a-1")) == [17, 16, 15]


@pytest.mark.usefixtures("small_layout")
def test_threads_that_save_compact_and_forget_lose_nothing_that_is_kept(opened: Open, seen: Seen) -> None:
    """And the newest is never older than one seen before."""

    def work(number: int) -> None:
        snapshots, rng, last = opened(), random.Random(number), 0
        for version in range(1, 26):
            snapshots.save([snap(version, f"s-{number}", keep=1), snap(version, "shared", aggregate=f"A{number}", keep=2)])
            if rng.random() < 0.2:
                snapshots.compact()
            if rng.random() < 0.2:
                snapshots.forget("Nobody", ["shared"])
            found = snapshots.newest("Account", f"s-{(number + 1) % 4}") or [snap(last or 1)]
            assert found[0].version >= last
            last = found[0].version
            assert versions(snapshots.newest("Account", f"s-{number}")) == [version]

    assert at_once(4, work) == [None] * 4
    for number in range(4):
        assert versions(opened().newest("Account", f"s-{number}")) == [25]
        assert versions(opened().newest(f"A{number}", "shared")) == [25, 24]
    assert seen.failures() == []


def test_processes_that_save_and_compact_lose_nothing_that_is_kept(tmp_path: Path, opened: Open) -> None:
    command = [sys.executable, "-m", "tests.store.snapshots.saver", str(tmp_path / "snapshots")]
    savers = [subprocess.Popen([*command, str(number)], cwd=HOUSE) for number in range(3)]
    assert [saver.wait() for saver in savers] == [0, 0, 0]
    for number in range(3):
        assert versions(opened().newest("Account", f"s-{number}")) == [60, 59]
    opened().compact()
    assert pl.read_delta(str(tmp_path / "snapshots")).height == 6


# Upkeep -----------------------------------------------------------------------------------------------------------


def test_saving_checkpoints_by_itself(snapshots: DeltaSnapshots, seen: Seen) -> None:
    for version in range(1, 41):
        snapshots.save([snap(version)])
    assert len([done for done in seen if isinstance(done, Checkpointed)]) >= 2
    assert snapshots._table.writable().version - snapshots._table.writable().checkpointed < 20


def test_maintenance_leaves_what_is_kept_in_one_file(snapshots: DeltaSnapshots, opened: Open, tmp_path: Path) -> None:
    for version in range(1, 11):
        snapshots.save([snap(version)])
    told = snapshots.maintain(dry_run=True)
    assert (len(told.compacted), told.checkpointed.data_bytes) == (1, 0)
    done = snapshots.maintain()
    assert done.compacted[0].files_before == 10
    assert isinstance(snapshots.vacuum(retention_s=0.0), Vacuumed)
    assert len(list((tmp_path / "snapshots" / "shard=h").iterdir())) == 1
    assert versions(opened().newest("Account", "a-1")) == [10, 9, 8]


def age(file: Path, days: int) -> None:
    """As if it had been written so long ago."""
    then_s = file.stat().st_mtime - days * 86_400
    os.utime(file, (then_s, then_s))


def test_saving_removes_what_no_commit_names_once_a_day(
    snapshots: DeltaSnapshots, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, seen: Seen
) -> None:
    monkeypatch.setattr(upkeep, "CLEAN_EVERY_S", 0.0)
    snapshots.save([snap(1)])
    folder = tmp_path / "snapshots" / "shard=h"
    old, young = folder / f"{0:032x}.parquet", folder / f"{1:032x}.parquet"
    for file in (old, young):
        shutil.copy(next(folder.iterdir()), file)
    age(old, days=8)
    age(young, days=6)
    snapshots._upkeep._vacuumed_s = -math.inf
    for version in (2, 3):
        snapshots.save([snap(version)])
    assert not old.exists()
    assert young.exists()
    assert [done.files for done in seen if isinstance(done, Vacuumed) and done.files] == [1]
    age(young, days=8)
    snapshots.save([snap(4)])
    assert young.exists()


def test_copies_in_the_quarantine_go_with_age(snapshots: DeltaSnapshots, opened: Open, tmp_path: Path) -> None:
    for version in (1, 2):
        snapshots.save([snap(version)])
    next((tmp_path / "snapshots" / "shard=h").iterdir()).write_bytes(b"garbage")
    (tmp_path / "snapshots" / "_delta_log" / f"{1:020d}.json").write_bytes(b"{")
    opened().save([snap(3)])
    copies = [file for file in (tmp_path / "snapshots" / "_quarantine").rglob("*") if file.is_file()]
    assert len(copies) == 2
    age(copies[0], days=8)
    opened().vacuum()
    assert [copy.exists() for copy in copies] == [False, True]


@pytest.mark.parametrize("torn", [False, True])
def test_nothing_is_left_of_what_was_forgotten_after_a_vacuum_of_all(opened: Open, tmp_path: Path, torn: bool) -> None:
    """Nor of a table that could not be read any more, whose files `forget` does not know."""
    opened().save([snap(1, state='"secret"'), snap(1, "b-1")])
    if torn:
        (tmp_path / "snapshots" / "_delta_log" / f"{1:020d}.json").write_bytes(b"{")
        opened().save([snap(2, state='"secret"'), snap(2, "b-1")])
    opened().forget(stream_ids=["a-1"])
    opened().vacuum(retention_s=0, unnamed_s=0)
    assert versions(opened().newest("Account", "b-1"))[0] == 1 + torn
    files = [file for file in (tmp_path / "snapshots").rglob("*.parquet") if file.parent.name != "_delta_log"]
    assert [pl.read_parquet(file)["state"].to_list() for file in files] == [[f'{{"v":{1 + torn}}}']]
    assert not any(file.is_file() for file in (tmp_path / "snapshots" / "_quarantine").rglob("*"))

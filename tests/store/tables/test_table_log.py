"""The log of a table: one order of commits for all, whoever makes them and whatever goes wrong."""

from __future__ import annotations

import dataclasses
import os
from pathlib import Path

import polars as pl
import pytest
from deltalake import DeltaTable

from store.errors import NewerTableError, OutcomeUnknownError, StorageError, TableRefusedError
from store.storage.local_objects import LocalObjects
from store.tables import cleanup, table_log
from store.tables.commit import Change
from store.tables.publishing import Outcome, log_path
from store.tables.replacement import Replacement, replace
from store.tables.table_log import TableLog
from store.tables.vacuum import expire, vacuum
from tests.store.delta.faults import FaultyObjects, lost_reply, lost_request, overtaken, repeated_by_the_client
from tests.store.tables.kinds import MODEL, OURS, added, put

LONG_MS = 10**14


@pytest.fixture
def objects(tmp_path: Path) -> FaultyObjects:
    return FaultyObjects(LocalObjects(tmp_path / "t"))


@pytest.fixture
def log(objects: FaultyObjects) -> TableLog:
    return TableLog(objects, OURS)


def keys(tmp_path: Path) -> list[int]:
    """What another Delta reader sees."""
    return sorted(pl.read_delta(str(tmp_path / "t"))["n"].to_list())


def live(log: TableLog) -> set[str]:
    return {file.path for file in log.files()}


def test_a_look_makes_no_table(objects: FaultyObjects, tmp_path: Path) -> None:
    assert TableLog(objects, OURS).version == -1
    assert not (tmp_path / "t").exists()


def test_the_first_commit_makes_the_table(objects: FaultyObjects, log: TableLog, tmp_path: Path) -> None:
    assert added(objects, log, 1, 2).version == 0
    assert keys(tmp_path) == [1, 2]
    assert DeltaTable(str(tmp_path / "t")).protocol().writer_features == ["alluvium"]


def test_who_loses_the_race_for_the_first_commit_takes_the_next(objects: FaultyObjects, tmp_path: Path) -> None:
    one, other = TableLog(objects, OURS), TableLog(objects, OURS)
    added(objects, one, 1)
    assert added(objects, other, 2).version == 1
    assert one.table == other.table
    assert keys(tmp_path) == [1, 2]


def test_the_first_commit_of_another_may_come_while_the_log_is_opened(objects: FaultyObjects, tmp_path: Path) -> None:
    """After we looked for it, and before we list what is there."""

    class Slow(FaultyObjects):
        def get(self, path: str) -> bytes | None:
            found = objects.get(path)
            if path == log_path(1) and found is None:
                added(objects, TableLog(objects, OURS), 1)
            return found

    log = TableLog(Slow(LocalObjects(tmp_path / "t")), OURS)
    assert log.version == 0
    assert len(live(log)) == 1


@pytest.mark.parametrize("fault", [lost_reply, lost_request, repeated_by_the_client])
def test_a_change_lands_once_whatever_reply_was_lost(objects: FaultyObjects, log: TableLog, tmp_path: Path, fault) -> None:  # type: ignore[no-untyped-def]
    objects.faults = [fault]
    assert added(objects, log, 1).version == 0
    added(objects, log, 2)
    assert keys(tmp_path) == [1, 2]


def test_mute_storage_leaves_the_outcome_unknown(objects: FaultyObjects, log: TableLog, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(table_log, "SETTLE_S", 0.0)
    objects.faults = [lost_request]
    with pytest.raises(OutcomeUnknownError):
        added(objects, log, 1)
    assert added(objects, log, 2).version == 0


def test_a_change_is_decided_anew_after_a_lost_race(objects: FaultyObjects, log: TableLog) -> None:
    """One that replaces files gives up when one of them is gone."""
    added(objects, log, 1)
    other, files, merged = TableLog(objects, OURS), log.files(), put(objects, 1)
    objects.faults = [overtaken(lambda: replace(objects, other, Replacement(files, [], "DELETE", True), other.vacuumed))]
    assert replace(objects, log, Replacement(files, [merged], "OPTIMIZE", False), log.vacuumed) is None
    assert log.files() == []
    assert objects.deleted == [merged.path]


def test_files_of_a_put_of_unknown_fate_stay(objects: FaultyObjects, log: TableLog) -> None:
    added(objects, log, 1)
    other, files = TableLog(objects, OURS), log.files()

    def lost_and_overtaken(real: object, path: str, data: bytes) -> bool:
        replace(objects, other, Replacement(files, [], "DELETE", True), other.vacuumed)
        raise OutcomeUnknownError("the connection broke")

    objects.faults = [lost_and_overtaken]
    assert replace(objects, log, Replacement(files, [put(objects, 1)], "OPTIMIZE", False), log.vacuumed) is None
    assert objects.deleted == []


def test_checkpoint_says_what_the_commits_say(objects: FaultyObjects, log: TableLog, tmp_path: Path) -> None:
    added(objects, log, 1, projection=17)
    added(objects, log, 2, other=3)
    replace(objects, log, Replacement(log.files()[:1], [put(objects, 1)], "OPTIMIZE", False), log.vacuumed)
    assert log.checkpoint() > 0
    for version in range(2):
        (tmp_path / "t" / log_path(version)).unlink()
    again = TableLog(objects, OURS)
    assert (again.version, again.table, again.txns, live(again)) == (2, log.table, {"projection": 17, "other": 3}, live(log))
    assert again.files() == log.files()
    assert again.retired() == log.retired() != []
    delta = DeltaTable(str(tmp_path / "t"))
    assert (delta.version(), delta.transaction_version("projection")) == (2, 17)
    assert keys(tmp_path) == [1, 2]


def test_deltalake_can_checkpoint_after_us(objects: FaultyObjects, log: TableLog, tmp_path: Path) -> None:
    for number in range(3):
        added(objects, log, number, app=number)
    DeltaTable(str(tmp_path / "t")).create_checkpoint()
    for version in range(2):
        (tmp_path / "t" / log_path(version)).unlink()
    again = TableLog(objects, OURS)
    assert (live(again), again.txns) == (live(log), {"app": 2})


def test_tags_of_a_file_survive_a_checkpoint(objects: FaultyObjects, log: TableLog, tmp_path: Path) -> None:
    file = dataclasses.replace(put(objects, 1), tags={"alluvium.note": "x"})
    log.amend(lambda: Change(operation="WRITE", added=[file]))
    log.checkpoint()
    assert [f.tags for f in TableLog(objects, OURS).files()] == [{"alluvium.note": "x"}]
    assert keys(tmp_path) == [1]


def test_idle_handle_finds_what_was_cleaned_past_it(objects: FaultyObjects, log: TableLog, monkeypatch: pytest.MonkeyPatch) -> None:
    idle = TableLog(objects, OURS)
    for number in range(3):
        added(objects, log, number)
    log.checkpoint()
    assert cleanup.clean(objects, log, LONG_MS, dry_run=True).files == 0
    monkeypatch.setattr(cleanup, "OLD_S", 0.0)
    assert cleanup.clean(objects, log, LONG_MS, dry_run=False).files == 2
    monkeypatch.setattr(table_log, "ASLEEP_S", 0.0)
    idle.refresh()
    assert live(idle) == live(log)


def test_sleeper_s_commit_below_a_checkpoint_is_made_again(
    objects: FaultyObjects, log: TableLog, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its put succeeds where nobody looks any more."""
    added(objects, log, 0)
    sleeper = TableLog(objects, OURS)
    monkeypatch.setattr(table_log, "ASLEEP_S", 0.0)
    monkeypatch.setattr(cleanup, "OLD_S", 0.0)

    def slept(real: object, path: str, data: bytes) -> bool:
        for number in (1, 2, 3):
            added(objects, log, number)
        log.checkpoint()
        cleanup.clean(objects, log, LONG_MS, dry_run=False)
        return objects.put_if_absent(path, data)

    objects.faults = [slept]
    commit = added(objects, sleeper, 9)
    assert commit.version == 4
    assert keys(tmp_path) == [0, 1, 2, 3, 9]
    assert not (tmp_path / "t" / log_path(1)).exists()


def test_sleeper_whose_neighbour_thread_woke_first_finds_out_all_the_same(
    objects: FaultyObjects, log: TableLog, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What the neighbour sees proves a later version to be the newest, not the one before the sleeper's."""
    added(objects, log, 0)
    sleeper, now_s, slept_s = TableLog(objects, OURS), table_log._now_s, [0.0]
    monkeypatch.setattr(table_log, "_now_s", lambda: now_s() + slept_s[0])
    monkeypatch.setattr(cleanup, "OLD_S", 0.0)

    def slept(real: object, path: str, data: bytes) -> bool:
        for number in (1, 2, 3):
            added(objects, log, number)
        log.checkpoint()
        cleanup.clean(objects, log, LONG_MS, dry_run=False)
        slept_s[0] = 700.0
        sleeper.refresh()
        return objects.put_if_absent(path, data)

    objects.faults = [slept]
    assert added(objects, sleeper, 9).version == 4
    assert keys(tmp_path) == [0, 1, 2, 3, 9]


def test_failing_check_after_a_sleep_leaves_the_outcome_unknown(objects: FaultyObjects, log: TableLog, monkeypatch: pytest.MonkeyPatch) -> None:
    added(objects, log, 0)
    monkeypatch.setattr(table_log, "ASLEEP_S", 0.0)
    get, put_it = objects.get, objects.put_if_absent

    def refused(path: str) -> bytes | None:
        raise StorageError("the disk is gone")

    def put_and_break(path: str, data: bytes) -> bool:
        monkeypatch.setattr(objects, "get", refused, raising=False)
        return put_it(path, data)

    monkeypatch.setattr(objects, "put_if_absent", put_and_break)
    with pytest.raises(OutcomeUnknownError, match="the disk is gone"):
        added(objects, log, 1)
    monkeypatch.setattr(objects, "get", get)
    log.refresh()
    assert log.version == 1


# A table that is ours alone ---------------------------------------------------------------------------------------


def test_foreign_writers_are_refused(objects: FaultyObjects, log: TableLog, tmp_path: Path) -> None:
    added(objects, log, 1)
    with pytest.raises(Exception, match="alluvium"):
        pl.DataFrame({"key": ["x"], "n": [1], "shard": ["h"]}).write_delta(str(tmp_path / "t"), mode="append")
    with pytest.raises(Exception, match="alluvium"):
        DeltaTable(str(tmp_path / "t")).optimize.compact()


@pytest.mark.parametrize(
    "body",
    [
        b"", b"\0" * 40, b"{", b'{"commitInfo": {"operation": "WRITE"}}', b'{"add": 7}', b'{"commitInfo": {"alluvium": {}}}', b"[]",
        b'{"commitInfo": {"operation": "WRITE", "alluvium": {"commit": "c", "vacuumed_ms": null, "anew": false}}}\n'
        b'{"add": {"path": "../../etc/passwd", "size": 1, "modificationTime": 1, "dataChange": true, "stats": "{}"}}',
        b'{"protocol": {"minReaderVersion": 3, "minWriterVersion": 7, "readerFeatures": ["x"], "writerFeatures": ["x"]}}',
    ],
)  # fmt: skip
def test_commits_that_are_not_ours_are_refused(objects: FaultyObjects, log: TableLog, body: bytes) -> None:
    added(objects, log, 1)
    objects.put(log_path(1), body)
    with pytest.raises(TableRefusedError):
        log.refresh()
    with pytest.raises(TableRefusedError):
        TableLog(objects, OURS)


@pytest.mark.parametrize("checkpointed", [False, True])
def test_a_newer_table_is_told_from_a_foreign_one(objects: FaultyObjects, checkpointed: bool) -> None:
    """Also where it needs more of its writers than we know."""
    newer = dataclasses.replace(OURS, features=(*OURS.features, "alluvium2"), configuration={**OURS.configuration, "alluvium.format": "2"})
    log = TableLog(objects, newer)
    added(objects, log, 1)
    if checkpointed:
        log.checkpoint()
    with pytest.raises(NewerTableError, match="update this process"):
        TableLog(objects, OURS)


def test_a_gap_is_not_filled(objects: FaultyObjects, log: TableLog, tmp_path: Path) -> None:
    for number in range(3):
        added(objects, log, number)
    (tmp_path / "t" / log_path(1)).unlink()
    with pytest.raises(TableRefusedError, match="commit 1 is missing"):
        TableLog(objects, OURS)


def test_another_kind_of_table_is_refused(objects: FaultyObjects, tmp_path: Path) -> None:
    added(objects, TableLog(objects, MODEL), 1)
    with pytest.raises(TableRefusedError):
        TableLog(objects, OURS)


# A read model's table ---------------------------------------------------------------------------------------------


def test_read_model_s_table_has_every_type(objects: FaultyObjects, tmp_path: Path) -> None:
    log = TableLog(objects, MODEL)
    added(objects, log, 1, 2, balances=40)
    assert keys(tmp_path) == [1, 2]
    assert [field.name for field in DeltaTable(str(tmp_path / "t")).schema().fields] == MODEL.schema.names
    assert DeltaTable(str(tmp_path / "t")).transaction_version("balances") == 40
    log.checkpoint()
    assert TableLog(objects, MODEL).files() == log.files()


def test_read_model_s_table_takes_commits_of_others(objects: FaultyObjects, tmp_path: Path) -> None:
    log = TableLog(objects, MODEL)
    added(objects, log, 1)
    pl.read_delta(str(tmp_path / "t")).with_columns(pl.lit(7, pl.Int64).alias("n")).write_delta(str(tmp_path / "t"), mode="append")
    log.refresh()
    added(objects, log, 2)
    assert (log.version, keys(tmp_path)) == (2, [1, 2, 7])
    assert [file.rows for file in log.files()] == [1, 1, 1]


# Vacuum -------------------------------------------------------------------------------------------------------------


def on_disk(tmp_path: Path) -> set[str]:
    return {f"{file.parent.name}/{file.name}" for file in (tmp_path / "t").glob("shard=*/*")}


def test_vacuum_removes_replaced_files_that_are_old_enough(objects: FaultyObjects, log: TableLog, tmp_path: Path) -> None:
    added(objects, log, 1)
    replace(objects, log, Replacement(log.files(), [put(objects, 1)], "OPTIMIZE", False), log.vacuumed)
    now_ms = log.retired()[0].retired_ms + 1_000
    for remove in (lambda s: expire(objects, log, s, 100, now_ms), lambda s: vacuum(objects, log, s, s, now_ms, dry_run=False)):
        assert remove(2.0).files == 0
        assert len(on_disk(tmp_path)) == 2
    assert vacuum(objects, log, 0.5, 1e9, now_ms, dry_run=True).files == 1
    assert expire(objects, log, 0.5, 100, now_ms).files == 1
    assert on_disk(tmp_path) == live(log)
    assert log.retired() == TableLog(objects, OURS).retired() == []


def test_replaced_files_of_an_hour_are_bounded_in_number(objects: FaultyObjects, log: TableLog, tmp_path: Path) -> None:
    for number in range(6):
        added(objects, log, number)
        replace(objects, log, Replacement(log.files(), [], "DELETE", True), log.vacuumed)
    expire(objects, log, 1e9, 2, LONG_MS)
    assert len(on_disk(tmp_path)) == len(log.retired()) <= 2


def test_vacuum_removes_old_files_that_no_commit_names_and_no_others(objects: FaultyObjects, log: TableLog, tmp_path: Path) -> None:
    added(objects, log, 1)
    old, young = put(objects, 2), put(objects, 3)
    os.utime(tmp_path / "t" / old.path, (1, 1))
    (tmp_path / "t" / "notes.txt").write_text("theirs")
    os.utime(tmp_path / "t" / "notes.txt", (1, 1))
    assert vacuum(objects, log, 3600.0, 3600.0, young.modified_ms, dry_run=False).files == 1
    assert on_disk(tmp_path) == live(log) | {young.path}
    assert (tmp_path / "t" / "notes.txt").exists()


def test_files_written_before_a_vacuum_began_are_not_named_after_it(objects: FaultyObjects, log: TableLog) -> None:
    """It may have listed them, and may delete them any time."""
    added(objects, log, 1)
    vacuumed, file = log.vacuumed, put(objects, 2)
    vacuum(objects, TableLog(objects, OURS), 0.0, 0.0, LONG_MS, dry_run=False)
    assert replace(objects, log, Replacement([], [file], "WRITE", True), vacuumed) is None
    assert log.amend(lambda: None) is Outcome.THEIRS

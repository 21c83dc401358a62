"""Repair mends what a crash can leave and loses nothing; everything else it refuses, and changes nothing."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from store import Event, TableRefusedError, open_store
from store.delta.commits import appending
from store.delta.log import log_path
from store.delta.verifying.repair import Repaired, repair
from store.delta.verifying.verify import verify
from store.storage.places import join, objects_at
from tests.store.delta.verifying.damage import aged, commit, contents, data_file, edit_add, fill, live, newest, objects, rewrite, swapped

HINT = "_delta_log/_last_checkpoint"


@pytest.fixture
def warehouse(tmp_path: Path) -> Path:
    """Twelve events; a checkpoint at commit 10."""
    fill(tmp_path, 10, checkpoint=True)
    return fill(tmp_path, 2)


def checkpoint_file(warehouse: Path) -> Path:
    return max((warehouse / "events" / "_delta_log").glob("*.checkpoint.parquet"))


def assert_mended(warehouse: Path, head: int) -> Repaired:
    """After it the log opens, is sound and takes events; what was moved lies in the quarantine as it was."""
    before = contents(warehouse / "events")
    done = repair(objects(warehouse))
    assert done.folder is not None
    kept = contents(warehouse / "events" / done.folder)
    assert kept == {path: before[path] for path in done.moved}
    after = contents(warehouse / "events")
    assert not any(after.get(path) == body for path, body in kept.items())  # another file may have the name now
    report = verify(objects(warehouse))
    assert (report.damage, report.events) == ([], head)
    with open_store(str(warehouse)) as store:
        assert store.append("s-0", [Event("Happened", {})]).position == head + 1
    assert verify(objects(warehouse)).damage == []
    return done


def assert_refused(warehouse: Path, problem: str) -> None:
    before = contents(warehouse)
    with pytest.raises(TableRefusedError, match=problem) as refused:
        repair(objects(warehouse))
    assert "restore it from a backup" in str(refused.value)
    assert contents(warehouse) == before


# Mended -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("dry_run", [False, True])
def test_repairing_a_sound_log_changes_nothing(warehouse: Path, dry_run: bool) -> None:
    before = contents(warehouse)
    done = repair(objects(warehouse), dry_run)
    assert (done.moved, done.folder, done.mended, done.left) == ([], None, [], [])
    assert contents(warehouse) == before


@pytest.mark.parametrize("body", [b"", b"\0" * 300, b'{"commitInfo":{"times'])
def test_torn_last_commit_is_moved_aside(warehouse: Path, body: bytes) -> None:
    last = newest(warehouse)
    commit(warehouse, last).write_bytes(body)
    done = assert_mended(warehouse, 11)
    assert done.moved == [log_path(last)]
    assert len(done.left) == 1                     # its data file, which is young


def test_torn_commit_behind_the_last_one_is_moved_aside(warehouse: Path) -> None:
    """As a put leaves it that was not whole when the machine stopped."""
    last = newest(warehouse)
    whole = appending("id", 10**15, 13, [], {})
    commit(warehouse, last + 1).write_bytes(whole[: len(whole) // 2])
    assert assert_mended(warehouse, 12).moved == [log_path(last + 1)]


def test_torn_first_commit_of_all_is_moved_aside_by_nobody(tmp_path: Path) -> None:
    """Without it there is no log to open."""
    fill(tmp_path, 0)
    commit(tmp_path, 0).write_bytes(b"")
    with pytest.raises(TableRefusedError, match="no event log"):
        repair(objects(tmp_path))
    assert commit(tmp_path, 0).exists()


@pytest.mark.parametrize("body", [b"", b'{"vers', b'{"version":99}'])
def test_torn_hint_is_moved_aside(warehouse: Path, body: bytes) -> None:
    (warehouse / "events" / HINT).write_bytes(body)
    assert assert_mended(warehouse, 12).moved == [HINT]


@pytest.mark.parametrize("body", [b"", b"PAR1" + bytes(500)])
def test_torn_checkpoint_is_moved_aside_with_the_hint_to_it(warehouse: Path, body: bytes) -> None:
    checkpoint_file(warehouse).write_bytes(body)
    assert sorted(assert_mended(warehouse, 12).moved) == [f"_delta_log/{10:020d}.checkpoint.parquet", HINT]


def test_checkpoint_that_lies_is_moved_aside(warehouse: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    other = fill(tmp_path_factory.mktemp("other"), 10, checkpoint=True)
    checkpoint_file(warehouse).write_bytes(checkpoint_file(other).read_bytes())
    assert f"_delta_log/{10:020d}.checkpoint.parquet" in assert_mended(warehouse, 12).moved


def test_torn_checkpoint_gives_way_to_an_older_one(warehouse: Path) -> None:
    fill(warehouse, 3, checkpoint=True)
    checkpoint_file(warehouse).write_bytes(b"torn")
    for version in range(10):
        commit(warehouse, version).unlink()
    assert_mended(warehouse, 15)


def orphan(warehouse: Path) -> Path:
    path = data_file(warehouse, live(warehouse)[0]).with_name("13-13-" + "0" * 32 + ".parquet")
    path.write_bytes(data_file(warehouse, live(warehouse)[0]).read_bytes())
    return path


def test_old_file_that_nobody_names_is_moved_aside(warehouse: Path) -> None:
    aged(orphan(warehouse))
    assert assert_mended(warehouse, 12).moved == [f"shard=h/13-13-{'0' * 32}.parquet"]


def test_young_file_that_nobody_names_stays(warehouse: Path) -> None:
    path = orphan(warehouse)
    done = repair(objects(warehouse))
    assert (done.moved, len(done.left), path.exists()) == ([], 1, True)


def test_old_temporary_file_is_moved_aside(warehouse: Path) -> None:
    path = warehouse / "events" / "_delta_log" / f".{'0a' * 16}.tmp"
    path.write_bytes(b"half")
    aged(path)
    assert assert_mended(warehouse, 12).moved == [f"_delta_log/.{'0a' * 16}.tmp"]


def test_replaced_files_stay_however_old(tmp_path: Path) -> None:
    fill(tmp_path, 12)
    old = [aged(data_file(tmp_path, segment)) for segment in live(tmp_path)]
    with open_store(str(tmp_path)) as store:
        store.compact()
    repair(objects(tmp_path))
    assert all(path.exists() for path in old)


def test_everything_at_once_is_mended(warehouse: Path) -> None:
    aged(orphan(warehouse))
    (warehouse / "events" / HINT).write_bytes(b"")
    checkpoint_file(warehouse).write_bytes(b"torn")
    commit(warehouse, newest(warehouse) + 1).write_bytes(b"")
    assert len(assert_mended(warehouse, 12).moved) == 4


def test_second_repair_finds_nothing_to_do(warehouse: Path) -> None:
    aged(orphan(warehouse))
    repair(objects(warehouse))
    before = contents(warehouse)
    assert repair(objects(warehouse)).moved == []
    assert contents(warehouse) == before


def test_dry_run_says_what_would_move_and_changes_nothing(warehouse: Path) -> None:
    aged(orphan(warehouse))
    commit(warehouse, newest(warehouse) + 1).write_bytes(b"")
    before = contents(warehouse)
    planned = repair(objects(warehouse), dry_run=True)
    assert (planned.dry_run, planned.folder, contents(warehouse)) == (True, None, before)
    assert repair(objects(warehouse)).moved == planned.moved


def test_writer_that_slept_over_a_repair_cannot_name_a_file_that_was_moved(warehouse: Path) -> None:
    """The version that it would have put is taken."""
    aged(orphan(warehouse))
    version = newest(warehouse)
    repair(objects(warehouse))
    assert not objects(warehouse).put_if_absent(log_path(version + 1), b"names the orphan")


def test_open_handle_goes_on_over_a_repair(warehouse: Path) -> None:
    aged(orphan(warehouse))
    with open_store(str(warehouse)) as store:
        store.append("s-0", [Event("Happened", {})])
        repair(objects(warehouse))
        assert store.append("s-0", [Event("Happened", {})]).position == 14
    assert verify(objects(warehouse)).findings == []


def test_repair_beside_another_one_is_refused_and_says_how_to_go_on(warehouse: Path) -> None:
    aged(orphan(warehouse))
    objects(warehouse).put("_quarantine/claim", b"another")
    with pytest.raises(TableRefusedError, match=r"if none is running, delete .*_quarantine/claim"):
        repair(objects(warehouse))
    (warehouse / "events" / "_quarantine" / "claim").unlink()
    assert_mended(warehouse, 12)


# Refused ------------------------------------------------------------------------------------------------------


def torn_in_the_middle(warehouse: Path) -> None:
    commit(warehouse, newest(warehouse) - 1).write_bytes(b"")


def foreign(warehouse: Path) -> None:
    commit(warehouse, newest(warehouse) + 1).write_bytes(b'{"commitInfo":{"operation":"DELETE","engineInfo":"Other/1.0"}}\n')


def gap(warehouse: Path) -> None:
    commit(warehouse, newest(warehouse) - 1).unlink()


def lost_file(warehouse: Path) -> None:
    data_file(warehouse, live(warehouse)[3]).unlink()


def torn_file(warehouse: Path) -> None:
    data_file(warehouse, live(warehouse)[3]).write_bytes(b"PAR1")


def other_count(warehouse: Path) -> None:
    edit_add(warehouse, live(warehouse)[-1].path, lambda _, stats: stats.update(numRecords=2))


def torn_checkpoint_without_commits(warehouse: Path) -> None:
    commit(warehouse, 3).unlink()
    checkpoint_file(warehouse).write_bytes(b"torn")


@pytest.mark.parametrize(
    ("damage", "problem"),
    [
        (torn_in_the_middle, "commit 11 is empty"),
        (foreign, "foreign writer"),
        (gap, "it is missing, though there are commits"),
        (lost_file, "it is not there"),
        (torn_file, "bytes, the log says"),
        (other_count, "it adds 2 rows"),
        (torn_checkpoint_without_commits, "commit 3: it is missing"),
    ],
)
def test_what_no_crash_does_is_refused(warehouse: Path, damage: Callable[[Path], None], problem: str) -> None:
    damage(warehouse)
    assert_refused(warehouse, problem)


def test_positions_that_are_not_dense_are_refused(tmp_path: Path) -> None:
    fill(tmp_path, 20, compact=True)
    rewrite(tmp_path, live(tmp_path)[0], lambda events: swapped(events, "position", 0, 2))
    assert_refused(tmp_path, "does not follow")


def test_what_could_be_mended_is_left_alone_beside_what_cannot(warehouse: Path) -> None:
    lost_file(warehouse)
    aged(orphan(warehouse))
    commit(warehouse, newest(warehouse) + 1).write_bytes(b"")
    assert_refused(warehouse, "it is not there")


# On an object store ---------------------------------------------------------------------------------------------


def test_torn_commit_in_an_object_store_is_mended(s3_warehouse: str) -> None:
    with open_store(s3_warehouse, create=True) as store:
        for number in range(3):
            store.append("a", [Event("Happened", {"number": number})])
    storage = objects_at(join(s3_warehouse, "events"))
    storage.put(log_path(4), b"")
    assert repair(storage).moved == [log_path(4)]
    assert verify(storage).findings == []
    with open_store(s3_warehouse) as store:
        assert store.append("a", [Event("Happened", {})]).position == 4

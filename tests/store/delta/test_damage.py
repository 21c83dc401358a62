"""Torn, emptied and missing files: the log is read whole all the same, or refused by the file's name. Never fewer rows unsaid."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import orjson
import pytest

from store import Event, TableRefusedError, open_store
from store.delta.log import log_path
from tests.store.delta.victims import assert_dense, copied, fresh, memory, rows_by_deltalake, rows_of

EVENTS = 40

Damage = Callable[[bytes], bytes]
DAMAGES: dict[str, Damage] = {
    "emptied": lambda body: b"",
    "halved": lambda body: body[: len(body) // 2],
    "without its last byte": lambda body: body[:-1],
    "zeroed": lambda body: bytes(len(body)),
    "zeroed from the middle on": lambda body: body[: len(body) // 2] + bytes(len(body) - len(body) // 2),
}
damaged = pytest.mark.parametrize("damage", DAMAGES.values(), ids=DAMAGES.keys())


@pytest.fixture(scope="module")
def template() -> Iterator[Path]:
    """Commits 1–20 append, 21 merges, 22–23 append, 24 merges; 25–40 are landing files."""
    with memory() as folder, open_store(str(folder), create=True) as store:
        for number in range(EVENTS - 2):
            store.append(f"s-{number % 4}", [Event("Happened", {"number": number})])
            if number in (19, 21):
                store.compact()
        yield folder


@pytest.fixture
def warehouse(template: Path) -> Iterator[Path]:
    with memory() as folder:
        yield copied(template, fresh(folder))


def log_folder(warehouse: Path) -> Path:
    return warehouse / "events" / "_delta_log"


def commit(warehouse: Path, version: int) -> Path:
    return warehouse / "events" / log_path(version)


def checkpoint(warehouse: Path, version: int) -> Path:
    return log_folder(warehouse) / f"{version:020d}.checkpoint.parquet"


def hint(warehouse: Path) -> Path:
    return log_folder(warehouse) / "_last_checkpoint"


def checkpointed(warehouse: Path) -> int:
    with open_store(str(warehouse)) as store:
        return store.checkpoint().delta_version


def clean(warehouse: Path, below: int) -> None:
    for version in range(below):
        commit(warehouse, version).unlink(missing_ok=True)


def refusal(warehouse: Path, create: bool = False) -> str:
    with pytest.raises(TableRefusedError) as refused:
        open_store(str(warehouse), create=create).close()
    return str(refused.value)


def assert_whole(warehouse: Path) -> None:
    with open_store(str(warehouse)) as store:
        rows = rows_of(store)
        assert_dense(rows)
        assert len(rows) == store.head() == EVENTS - 2
        assert store.append("s-0", [Event("Happened", {})]).position == EVENTS - 1


# Commits ---------------------------------------------------------------------------------------------------------


APPEND, MERGE, LAST = 30, 24, EVENTS


@damaged
@pytest.mark.parametrize("version", [APPEND, MERGE, LAST])
def test_damaged_commit_is_named_at_opening(warehouse: Path, version: int, damage: Damage) -> None:
    path = commit(warehouse, version)
    whole = path.read_bytes()
    path.write_bytes(damage(whole))
    if path.read_bytes() == whole[:-1]:            # but for its line end, it is whole
        assert_whole(warehouse)
    else:
        told = refusal(warehouse)
        assert f"commit {version} is " in told
        assert "restore" in told


@pytest.mark.parametrize(("version", "counts"), [(APPEND, (0, 1, 2)), (MERGE, (0, 2, 4))])
def test_commit_without_its_last_lines_is_named_at_opening(warehouse: Path, version: int, counts: tuple[int, ...]) -> None:
    """The lines of a merge: what it is, three files that go, one that comes. Of its first line alone see below."""
    lines = commit(warehouse, version).read_bytes().splitlines(keepends=True)
    assert counts[-1] == len(lines) - 1
    for count in counts:
        commit(warehouse, version).write_bytes(b"".join(lines[:count]))
        assert f"commit {version} " in refusal(warehouse)


def test_merge_of_which_only_the_first_line_is_left_changes_nothing(warehouse: Path) -> None:
    commit(warehouse, MERGE).write_bytes(commit(warehouse, MERGE).read_bytes().splitlines(keepends=True)[0])
    assert_whole(warehouse)


@pytest.mark.parametrize(("merge", "count"), [(False, 0), (False, 1), (False, 2), (True, 0), (True, 2), (True, 18)])
def test_commit_without_its_last_lines_is_refused_by_a_handle_that_is_open(warehouse: Path, merge: bool, count: int) -> None:
    """It neither moves on nor forgets rows; once the commit is mended, the handle goes on."""
    with open_store(str(warehouse)) as store, open_store(str(warehouse)) as other:
        rows = rows_of(store)
        if merge:
            version = other.compact()[-1].delta_version
        else:
            other.append("s-9", [Event("Happened", {})])
            version = LAST + 1
        whole = commit(warehouse, version).read_bytes()
        assert count < len(whole.splitlines())
        commit(warehouse, version).write_bytes(b"".join(whole.splitlines(keepends=True)[:count]))
        for verb in (store.head, lambda: rows_of(store), lambda: store.append("s-9", [Event("Happened", {})])):
            with pytest.raises(TableRefusedError, match=f"commit {version} "):
                verb()
        commit(warehouse, version).write_bytes(whole)
        assert rows_of(store)[: len(rows)] == rows
        assert rows_of(store) == rows_of(other)
        assert store.append("s-0", [Event("Happened", {})]).position == other.head()


@pytest.mark.parametrize("version", [1, APPEND])
def test_missing_commit_is_named_at_opening(warehouse: Path, version: int) -> None:
    """Commits past a gap must not be forgotten, nor their places be given again."""
    commit(warehouse, version).unlink()
    assert f"commit {version} is missing" in refusal(warehouse)


def test_missing_first_commit_is_not_taken_for_an_absent_log(warehouse: Path) -> None:
    """Opening with create=True must not lay a new log over the old one."""
    clean(warehouse, 1)
    assert "commit 0 is missing" in refusal(warehouse, create=True)
    assert not commit(warehouse, 0).exists()


# Checkpoints -----------------------------------------------------------------------------------------------------


@damaged
def test_damaged_checkpoint_is_done_without_while_its_commits_are_there(warehouse: Path, damage: Damage) -> None:
    path = checkpoint(warehouse, checkpointed(warehouse))
    path.write_bytes(damage(path.read_bytes()))
    assert_whole(warehouse)


@damaged
def test_damaged_checkpoint_without_its_commits_is_named(warehouse: Path, damage: Damage) -> None:
    version = checkpointed(warehouse)
    clean(warehouse, version)
    path = checkpoint(warehouse, version)
    path.write_bytes(damage(path.read_bytes()))
    told = refusal(warehouse, create=True)
    assert path.name in told
    assert "restore" in told


@damaged
def test_damaged_checkpoint_gives_way_to_an_older_one(warehouse: Path, damage: Damage) -> None:
    older = checkpointed(warehouse)
    with open_store(str(warehouse)) as store:
        for number in range(2):
            store.append("s-0", [Event("Happened", {"number": number})])
    newer = checkpoint(warehouse, checkpointed(warehouse))
    clean(warehouse, older)
    newer.write_bytes(damage(newer.read_bytes()))
    with open_store(str(warehouse)) as store:
        assert len(rows_of(store)) == store.head() == EVENTS


@damaged
def test_damaged_hint_is_done_without(warehouse: Path, damage: Damage) -> None:
    clean(warehouse, checkpointed(warehouse))
    hint(warehouse).write_bytes(damage(hint(warehouse).read_bytes()))
    assert_whole(warehouse)


@pytest.mark.parametrize("version", [7, -1, 10**20, "12", None, True, 12.5, [1]])
def test_hint_of_a_checkpoint_that_is_not_there_is_done_without(warehouse: Path, version: object) -> None:
    clean(warehouse, checkpointed(warehouse))
    hint(warehouse).write_bytes(orjson.dumps({"version": version if version != 10**20 else 2**53}))
    assert_whole(warehouse)


def test_missing_hint_is_done_without(warehouse: Path) -> None:
    clean(warehouse, checkpointed(warehouse))
    hint(warehouse).unlink()
    with open_store(str(warehouse), create=True) as store:
        assert store.head() == EVENTS - 2
    assert not commit(warehouse, 0).exists()
    assert_whole(warehouse)


def test_hint_of_an_older_checkpoint_does_not_hide_what_came_after(warehouse: Path) -> None:
    """A slow checkpointer may set it back after another one and a clean-up."""
    checkpointed(warehouse)
    older = hint(warehouse).read_bytes()
    with open_store(str(warehouse)) as store:
        for number in range(2):
            store.append("s-0", [Event("Happened", {"number": number})])
    clean(warehouse, checkpointed(warehouse))
    hint(warehouse).write_bytes(older)
    with open_store(str(warehouse)) as store:
        assert len(rows_of(store)) == store.head() == EVENTS
    assert len(rows_by_deltalake(warehouse)) == EVENTS


# Data files --------------------------------------------------------------------------------------------------------


def data_file(warehouse: Path, kind: str) -> Path:
    """A sorted run of several events, or a landing file of one."""
    with open_store(str(warehouse)) as store:
        segment = next(s for s in store._log.segments() if (s.rows > 1) == (kind == "sorted"))
    return warehouse / "events" / segment.path


@damaged
@pytest.mark.parametrize("kind", ["landing", "sorted"])
def test_damaged_data_file_is_named_by_every_verb_that_needs_it_and_mended_in_place(warehouse: Path, kind: str, damage: Damage) -> None:
    path = data_file(warehouse, kind)
    whole = path.read_bytes()
    path.write_bytes(damage(whole))
    with open_store(str(warehouse)) as store:
        for verb in (
            lambda: store.read_all().read_all(),
            lambda: [store.read_stream(f"s-{number}") for number in range(4)],
            lambda: store.compact(),
        ):
            with pytest.raises(TableRefusedError, match=path.name) as refused:
                verb()
            assert "restore the file from a backup" in str(refused.value)
        path.write_bytes(whole)
        assert store.append("s-0", [Event("Happened", {})], 10).position == EVENTS - 1
        assert_dense(rows_of(store))


def test_missing_data_file_is_named(warehouse: Path) -> None:
    path = data_file(warehouse, "landing")
    path.unlink()
    with open_store(str(warehouse)) as store, pytest.raises(TableRefusedError, match=path.name):
        store.read_all().read_all()


# Leftovers ---------------------------------------------------------------------------------------------------------


def test_leftovers_of_killed_writers_disturb_nobody(warehouse: Path) -> None:
    """Temporary log files, whole and torn, and data files that no commit names."""
    (log_folder(warehouse) / f".{'0' * 32}.tmp").write_bytes(commit(warehouse, LAST).read_bytes())
    (log_folder(warehouse) / f".{'1' * 32}.tmp").write_bytes(b'{"commitInfo"')
    (log_folder(warehouse) / f".{'2' * 32}.tmp").write_bytes(b"")
    orphan = warehouse / "events" / "shard=h" / f"39-39-{'3' * 32}.parquet"
    orphan.write_bytes(b"")
    assert_whole(warehouse)
    assert len(rows_by_deltalake(warehouse)) == EVENTS - 1
    clean(warehouse, checkpointed(warehouse))
    with open_store(str(warehouse)) as store:
        assert store.head() == EVENTS - 1
        assert store.compact() != []
    assert len(rows_by_deltalake(warehouse)) == EVENTS - 1

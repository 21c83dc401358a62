"""Log clean-up removes what a durable checkpoint has summed up, and nothing that anybody may still look for."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from deltalake import DeltaTable

from store import open_store
from store.delta import log
from store.delta.delta_store import DeltaEventStore
from tests.store.facts import everything, facts


@pytest.fixture
def store(tmp_path: Path) -> Iterator[DeltaEventStore]:
    with open_store(str(tmp_path), create=True) as store:
        for _ in range(10):
            store.append("a", facts(1))
        yield store


def age(folder: Path, seconds: float, versions: range) -> None:
    """Make the files of these commits older."""
    for version in versions:
        for file in (folder / "events" / "_delta_log").glob(f"{version:020d}.*"):
            os.utime(file, (time.time() - seconds,) * 2)


def versions(folder: Path) -> list[int]:
    return sorted(int(file.stem) for file in (folder / "events" / "_delta_log").glob("*.json"))


def test_old_commits_below_the_checkpoint_go(store: DeltaEventStore, tmp_path: Path) -> None:
    store.checkpoint()
    store.append("a", facts(1))
    age(tmp_path, 700, range(8))
    assert store.clean_log().files == 8
    assert versions(tmp_path) == [8, 9, 10, 11]


def test_nothing_goes_without_a_checkpoint(store: DeltaEventStore, tmp_path: Path) -> None:
    age(tmp_path, 700, range(11))
    assert store.clean_log().files == 0


def test_nothing_goes_that_a_damaged_checkpoint_should_hold(store: DeltaEventStore, tmp_path: Path) -> None:
    store.checkpoint()
    age(tmp_path, 700, range(9))
    (tmp_path / "events" / "_delta_log" / f"{10:020d}.checkpoint.parquet").write_bytes(b"torn")
    assert store.clean_log().files == 0


def test_commits_above_the_checkpoint_stay_however_old(store: DeltaEventStore, tmp_path: Path) -> None:
    store.checkpoint()
    for _ in range(3):
        store.append("a", facts(1))
    age(tmp_path, 7_000, range(13))
    store.clean_log()
    assert versions(tmp_path) == [10, 11, 12, 13]


def test_older_checkpoints_go_with_their_commits(store: DeltaEventStore, tmp_path: Path) -> None:
    store.checkpoint()
    store.append("a", facts(1))
    store.checkpoint()
    age(tmp_path, 700, range(11))
    store.clean_log()
    assert [file.name for file in (tmp_path / "events" / "_delta_log").glob("*.checkpoint.parquet")] == [f"{11:020d}.checkpoint.parquet"]


def test_age_is_told_by_the_clock_of_the_storage(store: DeltaEventStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine whose clock is an hour ahead must not take every commit for an old one."""
    store.checkpoint()
    monkeypatch.setattr(time, "time_ns", lambda: (int(time.time()) + 3600) * 1_000_000_000)
    assert store.clean_log().files == 0


def test_shorter_ages_are_refused(store: DeltaEventStore) -> None:
    with pytest.raises(ValueError, match="600 s"):
        store.clean_log(older_than_s=30)


def test_dry_run_tells_and_removes_nothing(store: DeltaEventStore, tmp_path: Path) -> None:
    store.checkpoint()
    age(tmp_path, 700, range(8))
    there = versions(tmp_path)
    would = store.clean_log(dry_run=True)
    assert versions(tmp_path) == there
    done = store.clean_log()
    assert (would.files, would.data_bytes) == (done.files, done.data_bytes) == (8, would.data_bytes)


def test_other_readers_read_a_cleaned_log(store: DeltaEventStore, tmp_path: Path) -> None:
    store.checkpoint()
    store.append("a", facts(1))
    age(tmp_path, 700, range(11))
    store.clean_log()
    assert DeltaTable(str(tmp_path / "events")).count() == 11
    with open_store(str(tmp_path), create=True) as other:
        assert other.head() == 11


def test_idle_handle_finds_what_was_cleaned_past_it(store: DeltaEventStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with open_store(str(tmp_path)) as idle:
        assert idle.head() == 10
        for _ in range(5):
            store.append("a", facts(1))
        store.compact()
        store.checkpoint()
        age(tmp_path, 700, range(20))
        store.clean_log()
        monkeypatch.setattr(log, "ASLEEP_S", 0.0)  # it looks again after what counts as long
        assert idle.head() == 15
        assert everything(idle) == everything(store)
        assert idle.append("a", facts(1), 15).version == 16

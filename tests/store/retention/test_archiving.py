"""Closed streams lie in files of their own: nothing but where they lie changes, and nobody opens them who does not ask for them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from deltalake import DeltaTable

import store
from store import Event, MemoryEventStore, backup, open_store, restore
from store.delta import compaction, part, segment
from store.delta.delta_store import DeltaEventStore
from tests.store.facts import everything, fact, facts

SAID = {"by": "ada", "why": "it is over"}


@pytest.fixture(autouse=True)
def small_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(segment, "RUN_ROWS", 32)
    monkeypatch.setattr(segment, "SECTION_ROWS", 8)
    monkeypatch.setattr(segment, "LEAF_ROWS", 8)
    monkeypatch.setattr(part, "ROW_GROUP_ROWS", 4)
    monkeypatch.setattr(compaction, "JOINED_RUNS", 2)


def filled(place: Path, runs: int = 1) -> DeltaEventStore:
    opened = open_store(place, create=True)
    assert isinstance(opened, DeltaEventStore)
    for number in range(32 * runs):
        opened.append(f"a-{number % 8}", [Event("Happened", {"number": number})])
    return opened


def archived(opened: DeltaEventStore) -> list[Any]:
    return [s for s in opened._log.segments() if s.archived]


def test_events_of_closed_streams_move_and_all_else_stays(tmp_path: Path) -> None:
    with filled(tmp_path) as opened:
        opened.retention.close("a-1", **SAID)
        opened.retention.close("a-2", **SAID)
        opened.compact()
        before, head = everything(opened), opened.head()
        foretold = opened.retention.archive(dry_run=True)
        done = opened.retention.archive()
        assert (done.events, foretold.events, done.files_before) == (8, 8, foretold.files_before)
        assert everything(opened) == before
        assert opened.head() == head
        assert sum(s.rows for s in archived(opened)) == 8
        assert all((tmp_path / "events" / s.path).is_file() and s.path.startswith("archive/shard=h") for s in archived(opened))
        assert opened.read_stream("a-1")["version"].to_pylist() == opened.read_stream("a-3")["version"].to_pylist() == [1, 2, 3, 4]
        assert opened.sql("select version from stream('a-1')").fetchall() == [(1,), (2,), (3,), (4,)]
        assert opened.retention.archive().events == 0
    assert DeltaTable(str(tmp_path / "events")).to_pyarrow_table(columns=["position"]).num_rows == head
    assert store.verify(str(tmp_path)).sound
    with open_store(tmp_path) as again:
        assert everything(again) == before


def test_who_reads_another_stream_opens_no_archived_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with filled(tmp_path) as opened:
        for number in (1, 2, 4, 6):
            opened.retention.close(f"a-{number}", **SAID)
        opened.compact()
        opened.retention.archive()
        opened.checkpoint()
    with open_store(tmp_path) as opened:
        asked: list[str] = []
        monkeypatch.setattr(type(opened._objects), "open", _telling(type(opened._objects).open, asked))
        for number in (0, 3, 5, 7):
            assert len(opened.read_stream(f"a-{number}")) == 4
        assert asked
        assert not [path for path in asked if path.startswith("archive/")]
        assert len(opened.read_stream("a-6")) == 4
        assert [path for path in asked if path.startswith("archive/")]


def test_archived_files_stay_apart_when_runs_are_joined(tmp_path: Path) -> None:
    with filled(tmp_path, runs=2) as opened:
        opened.retention.close("a-1", **SAID)
        opened.append("b", facts(40))
        while opened._log.segments() and opened.retention.archive().events:
            pass
        opened.compact()
        opened.retention.archive()
        opened.retention.close("a-2", **SAID)
        opened.retention.archive()
        before = everything(opened)
        opened.compact()
        assert {row["stream_id"] for s in archived(opened) for row in opened._files.read_columns(s, ["stream_id"]).to_pylist()} == {"a-1", "a-2"}
        assert everything(opened) == before
        assert opened.read_stream("a-1")["version"].to_pylist() == opened.read_stream("a-2")["version"].to_pylist() == list(range(1, 9))
    assert store.verify(str(tmp_path)).sound


def test_vacuum_knows_archived_files_and_an_erased_one_stays_archived(tmp_path: Path) -> None:
    with filled(tmp_path) as opened:
        opened.retention.close("a-1", **SAID)
        opened.compact()
        opened.retention.archive()
        opened.retention.delete("a-1", **SAID)
        opened.retention.remove(**SAID)
        there = {s.path for s in archived(opened)}
        opened.vacuum(0)
        assert {str(path.relative_to(tmp_path / "events")) for path in (tmp_path / "events" / "archive").rglob("*.parquet")} == there
        assert there
        told = [row["data"] for row in everything(opened) if row["stream_id"] == "a-1"]
        assert all(data.startswith('{"$erased"') for data in told)
    assert store.verify(str(tmp_path)).sound


def test_a_backup_holds_the_archive(tmp_path: Path) -> None:
    with filled(tmp_path / "warehouse") as opened:
        closed_at = opened.head()
        opened.retention.close("a-1", **SAID)
        opened.compact()
        backup(str(tmp_path / "warehouse"), str(tmp_path / "backup"))
        opened.retention.archive()
        before = everything(opened)
        backup(str(tmp_path / "warehouse"), str(tmp_path / "backup"))
    with open_store(tmp_path / "backup") as copy:
        assert isinstance(copy, DeltaEventStore)
        assert everything(copy) == before
        assert archived(copy)
    restore(str(tmp_path / "backup"), str(tmp_path / "restored"), until=closed_at)
    with open_store(tmp_path / "restored") as restored:
        assert restored.append("a-1", [fact()]).version == 5
        assert restored.read_stream("a-1")["version"].to_pylist() == [1, 2, 3, 4, 5]


def test_tombstoned_streams_move_when_that_is_asked(tmp_path: Path) -> None:
    with filled(tmp_path) as opened:
        opened.retention.tombstone("a-1", **SAID)
        opened.compact()
        assert (opened.retention.archive().events, opened.retention.archive(tombstoned=True).events) == (0, 4)


def test_a_file_is_left_alone_for_few_events(tmp_path: Path) -> None:
    with filled(tmp_path) as opened:
        opened.retention.close("a-1", **SAID)
        opened.compact()
        assert opened.retention.archive(share=1.1).events == 0


def test_memory_has_no_files_to_move() -> None:
    with MemoryEventStore() as opened:
        opened.append("a-1", facts(1))
        opened.retention.close("a-1", **SAID)
        assert opened.retention.archive() == (0, 0, 0, 0)


def _telling(open_file: Any, asked: list[str]) -> Any:
    def told(self: Any, path: str) -> Any:
        asked.append(path)
        return open_file(self, path)

    return told

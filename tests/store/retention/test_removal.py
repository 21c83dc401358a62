"""What is hidden is taken out of the log, out of every byte of it, and nothing else is."""

from __future__ import annotations

import time
from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

from store import Aggregate, Event, EventStore, MemoryEventStore, SnapshotPolicy, StorageError, open_store, snapshot, traces
from store.deeds import deeds
from store.delta import delta_store, removal_mark, upkeep
from store.retention.removal import Removal
from tests.store.deciding.account import Account, evolve, types
from tests.store.facts import facts

SAID = {"by": "ada", "why": "the law"}


def told(store: EventStore, stream_id: str) -> list[bool]:
    """Of each event of the stream: does it still say something?"""
    there = [row for batch in store.read_all() for row in batch.to_pylist() if row["stream_id"] == stream_id]
    return [not row["data"].startswith('{"$erased"') for row in there]


def test_hidden_events_become_husks(store: EventStore) -> None:
    for stream_id in ("a-1", "a-2", "b-1"):
        store.append(stream_id, facts(4))
    store.retention.truncate("a-1", 3, **SAID)
    store.retention.delete("b-1", **SAID)
    foretold = store.retention.remove(dry_run=True, **SAID)
    assert (dict(foretold.streams), told(store, "b-1")) == ({"a-1": 2, "b-1": 4}, [True] * 4)
    removed = store.retention.remove(**SAID)
    assert (dict(removed.streams), removed.events) == ({"a-1": 2, "b-1": 4}, 6)
    assert [told(store, stream_id) for stream_id in ("a-1", "a-2", "b-1")] == [[False, False, True, True], [True] * 4, [False] * 4]
    assert store.retention.remove(**SAID).events == 0
    began, deed = [deed for _, deed in deeds(store) if "Remov" in deed.type]
    assert (began.type, deed.type) == ("RemovalBegan", "HiddenEventsRemoved")
    assert (deed.by, deed.why, deed.what["events"], deed.what["streams"]) == ("ada", "the law", 6, 2)


def test_a_removal_that_failed_is_not_told_as_done(monkeypatch: pytest.MonkeyPatch) -> None:
    with MemoryEventStore() as store:
        store.append("a-1", facts(2))
        store.retention.delete("a-1", **SAID)

        def failed(what: object) -> None:
            raise StorageError("the disk is full")

        monkeypatch.setattr(store._log, "rewrite", failed)
        with pytest.raises(StorageError):
            store.retention.remove(**SAID)
        assert [deed.type for _, deed in deeds(store)][-1] == "RemovalBegan"


def test_a_repeat_of_removed_events_is_still_recognised(store: EventStore) -> None:
    events = facts(3)
    appended = store.append("a-1", events)
    store.retention.delete("a-1", **SAID)
    store.retention.remove(**SAID)
    assert store.append("a-1", events) == appended


def test_what_a_relaxed_rule_would_show_again_stays_removed(store: EventStore) -> None:
    store.append("a-1", facts(3))
    store.retention.keep("a-1", max_count=1, **SAID)
    store.retention.remove(**SAID)
    store.retention.keep("a-1", **SAID)
    assert store.read_stream("a-1")["version"].to_pylist() == [1, 2, 3]
    assert told(store, "a-1") == [False, False, True]


def test_with_nothing_said_nothing_is_removed(store: EventStore) -> None:
    store.append("a-1", facts(3))
    assert store.retention.remove(**SAID).events == 0
    assert store.head() == 3


@pytest.mark.parametrize("merged", [False, True])
def test_after_a_vacuum_no_byte_tells_what_was_hidden(tmp_path: Path, merged: bool) -> None:
    account = Aggregate(category="account", initial=Account(), evolve=evolve, types=types, snapshots=SnapshotPolicy())
    with open_store(tmp_path, create=True) as store:
        for number in range(3):
            opened: Any = Event("Opened", {"owner": f"planted-owner-{number}"}, metadata={"from": f"planted-host-{number}"})
            store.append(f"account-{number}", [opened, Event("Deposited", {"amount": 0.01})])
            snapshot(store, account, str(number))
        if merged:
            store.compact()
        store.retention.tombstone("account-0", **SAID)
        store.retention.truncate("account-1", 2, **SAID)
        assert traces(str(tmp_path), ["planted-owner-0", "planted-owner-1"])
        store.retention.remove(**SAID)
        store.purge()
        assert traces(str(tmp_path), ["planted-owner-0", "planted-owner-1", "planted-host-0", "planted-host-1"]) == []
        assert traces(str(tmp_path), ["planted-owner-2"])


def test_a_file_is_not_rewritten_for_one_event_of_many(tmp_path: Path) -> None:
    with open_store(tmp_path, create=True) as store:
        store.append("a-1", facts(100))
        store.append("b-1", facts(4))
        store.retention.truncate("a-1", 2, **SAID)
        store.retention.truncate("b-1", 2, **SAID)
        assert dict(store.retention.remove(share=0.05, **SAID).streams) == {"b-1": 1}
        assert dict(store.retention.remove(**SAID).streams) == {"a-1": 1}


@pytest.fixture
def busy_upkeep(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(upkeep, "CLEAN_EVERY_S", 0.0)
    monkeypatch.setattr(upkeep, "LOOK_EVERY", 1)
    monkeypatch.setattr(delta_store, "WORN", 0.0)


@pytest.mark.usefixtures("busy_upkeep")
def test_upkeep_removes_what_is_hidden(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(upkeep, "REMOVE_EVERY_S", 0.0)
    with open_store(tmp_path, create=True) as store:
        store.append("a-1", facts(3))
        store.retention.keep("a", max_age=timedelta(microseconds=1), **SAID)
        for _ in range(1_000):
            store.append("b", facts(1))
            if told(store, "a-1") == [False] * 3:
                break
        assert told(store, "a-1") == [False] * 3


@pytest.mark.parametrize(("waited_s", "removes"), [(None, False), (86_500, True), (80_000, False), (-80_000, True)])
def test_upkeep_removes_once_a_day_by_whatever_process(tmp_path: Path, waited_s: float | None, removes: bool) -> None:
    """Since the last one that any process did; a mark of a clock that went ahead counts for nothing."""
    with open_store(tmp_path, create=True) as store:
        assert isinstance(store, delta_store.DeltaEventStore)
        store.append("a-1", facts(3))
        if waited_s is not None:
            removal_mark.write(store._objects, time.time() - waited_s)
        store._upkeep._remove_if_due()
        assert removal_mark.read(store._objects) == (None if waited_s is None else pytest.approx(time.time() - waited_s, abs=60))
        store.retention.truncate("a-1", 4, **SAID)
        for _ in range(2):
            store._upkeep._remove_if_due()
            assert told(store, "a-1") == [not removes] * 3
        if removes or waited_s is None:
            assert removal_mark.read(store._objects) == pytest.approx(time.time(), abs=60)


def test_a_removal_that_failed_is_due_at_the_next_look(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with open_store(tmp_path, create=True) as store:
        assert isinstance(store, delta_store.DeltaEventStore)
        store.append("a-1", facts(3))
        store.retention.delete("a-1", **SAID)
        removal_mark.write(store._objects, 0.0)
        with monkeypatch.context() as failing:
            failing.setattr(store._upkeep, "_apply_retention", _failed)
            with pytest.raises(StorageError):
                store._upkeep._remove_if_due()
        store._upkeep._remove_if_due()
        assert told(store, "a-1") == [False] * 3


def _failed() -> None:
    raise StorageError("the disk is full")


def test_of_what_is_removed_no_more_is_held_in_memory_than_is_told(store: EventStore) -> None:
    for number in range(3):
        store.append(f"a-{number}", facts(100))
        store.retention.delete(f"a-{number}", **SAID)
    hidden = store.retention.hidden()
    assert hidden is not None
    told: list[Any] = []
    store.retention._log.events.rewrite(Removal(hidden, store.head(), str(uuid4())), told.append)
    (touched,) = told
    assert sorted(touched["position"].to_pylist()) == [position for first in (1, 103, 205) for position in range(first, first + 100)]
    assert sum(chunk.nbytes - chunk.dictionary.nbytes for chunk in touched["stream_id"].chunks) + touched["position"].nbytes <= 12 * 300

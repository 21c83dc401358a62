"""What is left of an erased value on disk and in memory, at every stage."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from store import (
    Aggregate,
    Erasure,
    Event,
    EventStore,
    EventType,
    EventTypes,
    InvalidEventError,
    Query,
    SnapshotPolicy,
    backup,
    erasure_of,
    load,
    open_logs,
    open_store,
    reapply,
    restore,
    snapshot,
    traces,
    verify,
)
from store.delta.delta_store import DeltaEventStore

WHO: dict[str, Any] = {"by": "ann", "why": "asked for it"}
SECRET = "planted-secret-value"


@dataclass(frozen=True)
class Named:
    name: str


TYPES = EventTypes(EventType("Named", Named))
PEOPLE = Aggregate(
    category="person", initial=Named(""), evolve=lambda state, event: event, types=TYPES, snapshots=SnapshotPolicy(every_events=10_000)
)


@pytest.fixture
def store(tmp_path: Path) -> Iterator[DeltaEventStore]:
    with open_store(str(tmp_path / "warehouse"), create=True) as store:
        for number in range(6):
            store.append(f"person-{number}", [TYPES.event(Named(f"{SECRET}-{number}" if number < 2 else "plain"), tags=[f"person:{number}"])])
        yield store


def said(store: EventStore, stream_id: str) -> str:
    return str(store.read_stream(stream_id)["data"].to_pylist())


def where(store: DeltaEventStore) -> set[str]:
    """The tables in which there is a trace of it."""
    return {trace.path.split("/")[0] for trace in traces(store.warehouse, [SECRET])}


@pytest.mark.parametrize("compacted", ["before", "after", "never"])
def test_value_is_in_replaced_files_until_they_are_removed_and_nowhere_after_that(store: DeltaEventStore, compacted: str) -> None:
    if compacted == "before":
        store.compact()
    store.erase(Erasure(streams=["person-0", "person-1"]), **WHO)
    if compacted == "after":
        store.compact()
    store.checkpoint()
    live = {s.path for s in store._log.segments()}
    traced = {trace.path for trace in traces(store.warehouse, [SECRET])}
    assert traced
    assert not traced & {f"events/{path}" for path in live}
    store.vacuum(0)
    assert where(store) == set()
    assert verify(store.warehouse).sound


def test_report_says_what_remains_until_when_and_what_is_gone(store: DeltaEventStore) -> None:
    erasure = Erasure(streams=["person-0", "person-1"])
    first = store.erase(erasure, values=[SECRET], **WHO)
    assert [one.what for one in first.remains if one.until is not None] == ["replaced files of the log"]
    assert "a trace of a value" in {one.what for one in first.remains}
    second = store.erase(erasure, values=[SECRET], now=True, **WHO)
    assert "a trace of a value" not in {one.what for one in second.remains}
    assert "there is no trace of them" in str(second.gone)
    assert "1 values were searched for" in repr(second)


def test_snapshots_of_the_streams_are_forgotten_and_their_files_removed(store: DeltaEventStore) -> None:
    for id in ("0", "5"):
        snapshot(store, PEOPLE, id)
    report = store.erase(Erasure(streams=["person-0", "person-1"]), now=True, **WHO)
    assert "1 snapshots of these streams are forgotten" in report.gone
    assert store.snapshots.newest("person", "person-0") == []
    assert len(store.snapshots.newest("person", "person-5")) == 1
    assert load(store, PEOPLE, "0").state == Named("")
    assert where(store) == set()


def test_snapshot_of_a_state_known_before_the_erasure_does_not_stay(store: DeltaEventStore) -> None:
    with open_store(store.warehouse) as other:
        known = load(other, PEOPLE, "0")
        assert known.state.name.startswith(SECRET)
        store.erase(Erasure(streams=["person-0"]), **WHO)
        other.deciding.snapshotter.take(PEOPLE, "person-0", other.deciding.loader._states._entries[PEOPLE, "person-0"].known)
        other.deciding.snapshotter.flush()
        assert other.snapshots.newest("person", "person-0") == []


def test_other_processes_forget_once_they_look_at_the_log(store: DeltaEventStore) -> None:
    with open_store(store.warehouse) as other:
        assert SECRET in said(other, "person-0")
        assert SECRET in load(other, PEOPLE, "0").state.name
        other.append("person-0", [TYPES.event(Named(SECRET))])           # kept in memory as rows of a fresh file
        assert len(other.read_all(tags=["person:0"]).read_all()) == 1
        store.erase(Erasure(query=Query(), tags=True), **WHO)
        assert SECRET not in said(other, "person-0")
        assert load(other, PEOPLE, "0").state == Named("")
        assert len(other.read_all(tags=["person:0"]).read_all()) == 0
        assert not other._files._kept
        other.append("person-0", [], fail_if=Query(tags=["person:0"]), after=0)


def test_process_that_slept_through_the_erasure_forgets(store: DeltaEventStore, monkeypatch: pytest.MonkeyPatch) -> None:
    with open_store(store.warehouse) as other:
        assert SECRET in said(other, "person-0")
        store.erase(Erasure(streams=["person-0"]), **WHO)
        store.checkpoint()
        monkeypatch.setattr("store.delta.log_cleanup.YOUNGEST_S", 0.0)
        store._upkeep.clean_log(0)
        other._log._proved_s = float("-inf")
        assert SECRET not in said(other, "person-0")


def test_backup_is_erased_too_if_it_is_named(store: DeltaEventStore, tmp_path: Path) -> None:
    place = str(tmp_path / "backup")
    backup(store.warehouse, place)
    store.erase(Erasure(streams=["person-0", "person-1"]), now=True, backups=[place], **WHO)
    assert traces(str(tmp_path), [SECRET]) == []
    done = backup(store.warehouse, place)
    assert done.files_copied <= 2                  # the deeds; what was erased on both sides is alike
    assert verify(place).sound


def test_next_backup_brings_the_erasure_to_an_older_one(store: DeltaEventStore, tmp_path: Path) -> None:
    place = str(tmp_path / "backup")
    store.compact()
    backup(store.warehouse, place)
    store.erase(Erasure(streams=["person-0", "person-1"]), now=True, **WHO)
    backup(store.warehouse, place)
    with open_store(place) as copy:
        assert [erasure_of(data) is not None for data in copy.read_all().read_all()["data"].to_pylist()[:6]] == [True, True, *[False] * 4]
        copy.vacuum(0)
    assert traces(str(tmp_path), [SECRET]) == []


def test_files_that_differ_only_in_what_was_erased_are_not_taken_for_alike(store: DeltaEventStore, tmp_path: Path) -> None:
    """Same run, rows, bounds and size: only the mark tells."""
    place = str(tmp_path / "backup")
    for number in range(30):
        store.append("person-9", [Event("Named", {"name": f"{number:02}"})])
    backup(store.warehouse, place)
    sizes = sorted(s.size_bytes for s in store._log.segments())
    store.erase(Erasure(streams=["person-9"], fields={"name": "xx"}), **WHO)
    assert sorted(s.size_bytes for s in store._log.segments() if s.last <= 36) == sizes
    backup(store.warehouse, place, until=36)
    with open_store(place) as copy:
        assert set(copy.read_stream("person-9")["data"].to_pylist()) == {'{"name":"xx"}'}


def test_erasures_are_applied_again_after_a_restore(store: DeltaEventStore, tmp_path: Path) -> None:
    place, again = str(tmp_path / "backup"), str(tmp_path / "again")
    backup(store.warehouse, place)
    report = store.erase(Erasure(streams=["person-0", "person-1"]), **WHO)
    restore(place, again)
    with open_store(again) as restored:
        assert SECRET in said(restored, "person-0")
        done = reapply(restored, store, now=True, **WHO)
        assert done.streams == {"person-0": 1, "person-1": 1}
        assert erasure_of(restored.read_stream("person-0")["data"][0].as_py()) == report.erasure_id
    assert traces(again, [SECRET]) == []


def test_deeds_of_another_warehouse_are_refused(store: DeltaEventStore, tmp_path: Path) -> None:
    store.erase(Erasure(streams=["person-0"]), **WHO)
    with open_store(str(tmp_path / "other"), create=True) as other, pytest.raises(InvalidEventError, match="is the id of another log"):
        reapply(other, store, **WHO)


def test_each_log_of_several_is_erased_those_that_have_ended_too(tmp_path: Path) -> None:
    place = str(tmp_path / "warehouse")
    with open_logs(place, create=True) as logs:
        for number in range(8):
            logs.append(f"person-{number}", [TYPES.event(Named(f"{SECRET}-old"))])
        logs.split(into=16)
        for number in range(8):
            logs.append(f"person-{number}", [TYPES.event(Named(f"{SECRET}-new"))])
        with open_logs(place) as other:
            assert SECRET in said(other, "person-3")
            assert SECRET in load(other, PEOPLE, "3").state.name
            report = logs.erase(Erasure(types=["Named"]), now=True, values=[SECRET], **WHO)
            assert SECRET not in said(other, "person-3")
            assert load(other, PEOPLE, "3").state == Named("")
            assert load(other, PEOPLE, "3").version == 2
        assert report.events == 16
        assert sum(log.delta_version is not None for log in report.logs) > 2
        assert traces(place, [SECRET]) == []
        assert logs.erase(Erasure(types=["Named"]), **WHO).events == 0

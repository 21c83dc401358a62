"""Replies of storage that are lost, beyond a single append: tables, merges, groups. What is answered is so, and happens once."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa
import pytest

from store import NO_STREAM, Event, OutcomeUnknownError, StoreError, TableAppended, WrongExpectedVersionError, open_store
from store.delta import log, log_cleanup
from store.delta.delta_store import DeltaEventStore
from store.observer import Measurement
from store.storage.local_objects import LocalObjects
from store.storage.objects import Objects
from store.times import now
from tests.store.delta.faults import FaultyObjects, lost_reply, lost_request, overtaken, repeated_by_the_client
from tests.store.delta.victims import assert_dense, rows_by_deltalake, rows_of
from tests.store.facts import facts, table

FAULTS = pytest.mark.parametrize("fault", [lost_reply, lost_request, repeated_by_the_client])


class Unseen:
    def record(self, measurement: Measurement) -> None: ...


@pytest.fixture
def warehouse(tmp_path: Path) -> Path:
    open_store(str(tmp_path), create=True).close()
    return tmp_path


@pytest.fixture
def objects(warehouse: Path) -> FaultyObjects:
    return FaultyObjects(LocalObjects(warehouse / "events"))


@pytest.fixture
def store(objects: FaultyObjects) -> Iterator[DeltaEventStore]:
    with DeltaEventStore(objects, Unseen(), now) as store:
        yield store


def identified(rows: int) -> pa.Table:
    return table(rows, event_id=[f"00000000-0000-4000-8000-{number:012d}" for number in range(rows)])


def files(warehouse: Path) -> set[Path]:
    return {path for path in warehouse.rglob("*.parquet") if path.parent.name != "_delta_log"}


# Tables -------------------------------------------------------------------------------------------------------------


@FAULTS
@pytest.mark.parametrize("given", [table(5), identified(5)], ids=["without ids", "with ids"])
def test_table_lands_once_whatever_reply_was_lost(store: DeltaEventStore, objects: FaultyObjects, given: pa.Table, fault) -> None:  # type: ignore[no-untyped-def]
    objects.faults = [fault]
    assert store.append_table(given) == TableAppended(1, 5)
    assert_dense(rows_of(store))
    assert store.head() == 5


@pytest.mark.parametrize("fault", [lost_reply, lost_request])
def test_table_of_unknown_outcome_is_safe_to_repeat(
    store: DeltaEventStore, objects: FaultyObjects, monkeypatch: pytest.MonkeyPatch, fault
) -> None:  # type: ignore[no-untyped-def]
    monkeypatch.setattr(log, "SETTLE_S", 0.0)
    objects.faults = [fault]
    with pytest.raises(OutcomeUnknownError):
        store.append_table(identified(5))
    assert objects.deleted == []
    assert store.append_table(identified(5)) == TableAppended(1, 5)
    assert store.append_table(identified(5)) == TableAppended(1, 5)
    assert store.head() == 5


def test_table_that_loses_after_a_lost_request_takes_the_next_positions(store: DeltaEventStore, objects: FaultyObjects, warehouse: Path) -> None:
    """The first put may still arrive: its data file stays, and the table is in the log once."""
    with open_store(str(warehouse)) as other:
        objects.faults = [lost_request, overtaken(lambda: other.append("b", facts(2)))]
        assert store.append_table(identified(5)) == TableAppended(3, 7)
    assert objects.deleted == []
    assert_dense(rows_of(store))
    assert store.head() == 7


# Merges -------------------------------------------------------------------------------------------------------------


@FAULTS
def test_merge_happens_once_whatever_reply_was_lost(store: DeltaEventStore, objects: FaultyObjects, warehouse: Path, fault) -> None:  # type: ignore[no-untyped-def]
    for number in range(5):
        store.append(f"s-{number}", facts(2))
    rows = rows_of(store)
    objects.faults = [fault]
    assert [merged.events for merged in store.compact()] == [10]
    assert store.compact() == []
    assert rows_of(store) == rows == rows_by_deltalake(warehouse)
    with open_store(str(warehouse)) as other:
        assert rows_of(other) == rows
        assert len(other._log.segments()) == 1


@pytest.mark.parametrize("fault", [lost_reply, lost_request])
def test_merge_of_unknown_outcome_keeps_every_file_and_is_done_or_done_again(
    store: DeltaEventStore, objects: FaultyObjects, warehouse: Path, monkeypatch: pytest.MonkeyPatch, fault
) -> None:  # type: ignore[no-untyped-def]
    monkeypatch.setattr(log, "SETTLE_S", 0.0)
    for number in range(5):
        store.append(f"s-{number}", facts(2))
    rows, before = rows_of(store), files(warehouse)
    objects.faults = [fault]
    with pytest.raises(OutcomeUnknownError):
        store.compact()
    assert objects.deleted == []
    assert before < files(warehouse)
    assert rows_of(store) == rows
    store.compact()
    assert store.append("s-0", facts(1), 2).position == 11
    assert rows_of(store)[:-1] == rows
    assert rows_by_deltalake(warehouse) == rows_of(store)
    assert len(store._log.segments()) == 2


@FAULTS
def test_merge_overtaken_by_an_append_goes_behind_it_whatever_reply_was_lost(
    store: DeltaEventStore, objects: FaultyObjects, warehouse: Path, fault
) -> None:  # type: ignore[no-untyped-def]
    for number in range(5):
        store.append(f"s-{number}", facts(2))
    with open_store(str(warehouse)) as other:
        objects.faults = [overtaken(lambda: other.append("b", facts(2))), fault]
        assert sum(merged.events for merged in store.compact()) >= 10
        assert_dense(rows_of(store))
        assert rows_of(store) == rows_of(other) == rows_by_deltalake(warehouse)
        assert store.head() == 12


def test_merge_that_loses_after_a_lost_request_leaves_what_a_late_put_would_name(
    store: DeltaEventStore, objects: FaultyObjects, warehouse: Path
) -> None:
    for number in range(5):
        store.append(f"s-{number}", facts(2))
    rows = rows_of(store)
    with open_store(str(warehouse)) as other:
        objects.faults = [lost_request, overtaken(other.compact)]
        store.compact()
    assert objects.deleted == []
    assert rows_of(store) == rows == rows_by_deltalake(warehouse)


# Sleep --------------------------------------------------------------------------------------------------------------


def test_sleeper_whose_neighbour_thread_woke_first_is_answered_only_what_is_there(
    store: DeltaEventStore, objects: FaultyObjects, warehouse: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What the neighbour sees proves a later version to be the newest, not the one before the sleeper's."""
    now_s, slept_s = log._now_s, [0.0]
    monkeypatch.setattr(log, "_now_s", lambda: now_s() + slept_s[0])
    monkeypatch.setattr(log_cleanup, "YOUNGEST_S", 0.0)
    with open_store(str(warehouse)) as other:

        def asleep() -> None:
            for number in range(3):
                other.append(f"b-{number}", facts(1))
            other.checkpoint()
            assert other.clean_log(0).files > 0
            slept_s[0] = 700.0
            assert store.head() == 3

        objects.faults = [overtaken(asleep)]
        assert store.append("a", FIRST, NO_STREAM) == (1, 2, 4, 5)
        assert store.read_stream("a")["position"].to_pylist() == other.read_stream("a")["position"].to_pylist() == [4, 5]
        assert_dense(rows_of(other))


# Groups -------------------------------------------------------------------------------------------------------------


class Group:
    """Appends that wait behind one that is held, so that they become one commit; `answers` in order of arrival."""

    def __init__(self, store: DeltaEventStore, objects: FaultyObjects) -> None:
        self._store, self._objects = store, objects
        self._go = threading.Event()
        self._threads: list[threading.Thread] = []
        self.answers: dict[str, object] = {}

    def held(self, real: Objects, path: str, data: bytes) -> bool:
        self._go.wait()
        return real.put_if_absent(path, data)

    def start(self, name: str, stream_id: str, events: list[Event], expected: int) -> None:
        def run() -> None:
            try:
                self.answers[name] = self._store.append(stream_id, events, expected)
            except StoreError as error:
                self.answers[name] = error

        waiting = self._store._committer._waiting.qsize()
        thread = threading.Thread(target=run)
        self._threads.append(thread)
        thread.start()
        while self._objects.puts == [] if len(self._threads) == 1 else self._store._committer._waiting.qsize() == waiting:
            pass

    def end(self) -> None:
        self._go.set()
        for thread in self._threads:
            thread.join()


@pytest.fixture
def group(store: DeltaEventStore, objects: FaultyObjects) -> Iterator[Group]:
    """Three that build on one another, one that must be refused."""
    group = Group(store, objects)
    objects.faults = [group.held]
    group.start("held", "first", facts(1), NO_STREAM)
    group.start("one", "a", FIRST, NO_STREAM)
    group.start("two", "a", SECOND, 2)
    group.start("wrong", "a", facts(1), 9)
    group.start("three", "b", THIRD, NO_STREAM)
    yield group
    group.end()


FIRST, SECOND, THIRD = facts(2), facts(1), facts(2)


@FAULTS
def test_each_of_a_group_is_answered_rightly_whatever_reply_was_lost(
    store: DeltaEventStore, objects: FaultyObjects, group: Group, fault
) -> None:  # type: ignore[no-untyped-def]
    objects.faults = [fault]
    group.end()
    assert (group.answers["one"], group.answers["two"], group.answers["three"]) == ((1, 2, 2, 3), (3, 3, 4, 4), (1, 2, 5, 6))
    assert isinstance(group.answers["wrong"], WrongExpectedVersionError)
    assert len(objects.puts) == 2 + (fault is not repeated_by_the_client)
    assert_dense(rows_of(store))
    assert store.head() == 6


@pytest.mark.parametrize("fault", [lost_reply, lost_request])
def test_each_of_a_group_of_unknown_outcome_is_safe_to_repeat(
    store: DeltaEventStore, objects: FaultyObjects, group: Group, monkeypatch: pytest.MonkeyPatch, fault
) -> None:  # type: ignore[no-untyped-def]
    """None of them is refused: what the refusal would rest on may not be there."""
    monkeypatch.setattr(log, "SETTLE_S", 0.0)
    objects.faults = [fault]
    group.end()
    assert all(isinstance(group.answers[name], OutcomeUnknownError) for name in ("one", "two", "wrong", "three"))
    assert store.append("a", FIRST, NO_STREAM) == (1, 2, 2, 3)
    assert store.append("a", SECOND, 2).version == 3
    assert store.append("b", THIRD, NO_STREAM).version == 2
    assert_dense(rows_of(store))
    assert store.head() == 6


@FAULTS
def test_group_that_lost_its_place_is_decided_anew_whatever_reply_was_lost(
    store: DeltaEventStore, objects: FaultyObjects, group: Group, warehouse: Path, fault
) -> None:  # type: ignore[no-untyped-def]
    """Another process took stream b in between: only the append that rests on its absence is refused."""
    with open_store(str(warehouse)) as other:
        objects.faults = [overtaken(lambda: other.append("b", facts(1), NO_STREAM)), fault]
        group.end()
    assert (group.answers["one"], group.answers["two"]) == ((1, 2, 3, 4), (3, 3, 5, 5))
    assert isinstance(group.answers["three"], WrongExpectedVersionError)
    assert_dense(rows_of(store))
    assert store.head() == 5

"""The commit: races, replies that never come, and what each caller of a group is told."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa
import pytest

from store import ANY, NO_STREAM, Append, ClockSkewError, Event, OutcomeUnknownError, StoreClosedError, WrongExpectedVersionError, open_store
from store.delta import log
from store.delta.delta_store import DeltaEventStore
from store.observer import Committed, Measurement
from store.storage.local_objects import LocalObjects
from store.times import now
from tests.store.delta.faults import FaultyObjects, lost_reply, lost_request, overtaken, repeated_by_the_client


class Measurements(list[Measurement]):
    record = list.append


@pytest.fixture
def warehouse(tmp_path: Path) -> str:
    open_store(str(tmp_path), create=True).close()
    return str(tmp_path)


@pytest.fixture
def objects(warehouse: str) -> FaultyObjects:
    return FaultyObjects(LocalObjects(Path(warehouse) / "events"))


@pytest.fixture
def seen() -> Measurements:
    return Measurements()


@pytest.fixture
def store(objects: FaultyObjects, seen: Measurements) -> Iterator[DeltaEventStore]:
    with DeltaEventStore(objects, seen, now) as store:
        yield store


def event(number: int = 0) -> Event:
    return Event("Happened", {"number": number})


def positions(store: DeltaEventStore) -> list[int]:
    return store.read_all().read_all()["position"].to_pylist()


@pytest.mark.parametrize("fault", [lost_reply, lost_request, repeated_by_the_client])
def test_append_lands_once_whatever_reply_was_lost(store: DeltaEventStore, objects: FaultyObjects, fault) -> None:  # type: ignore[no-untyped-def]
    objects.faults = [fault]
    assert store.append("a", [event()], NO_STREAM).position == 1
    assert store.append("a", [event()], 1).position == 2
    assert positions(store) == [1, 2]


def test_append_of_unknown_outcome_keeps_its_data_file(store: DeltaEventStore, objects: FaultyObjects, monkeypatch: pytest.MonkeyPatch) -> None:
    """A put that is still under way would name it."""
    monkeypatch.setattr(log, "SETTLE_S", 0.0)
    objects.faults = [lost_request]
    with pytest.raises(OutcomeUnknownError):
        store.append("a", [event()])
    assert objects.deleted == []


def test_append_of_unknown_outcome_is_recognised_when_repeated(
    store: DeltaEventStore, objects: FaultyObjects, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(log, "SETTLE_S", 0.0)
    objects.faults = [lost_reply]
    fact = event()
    with pytest.raises(OutcomeUnknownError):
        store.append("a", [fact], NO_STREAM)
    assert store.append("a", [fact], NO_STREAM) == (1, 1, 1, 1)
    assert positions(store) == [1]


def test_version_is_not_passed_over_while_its_outcome_is_unknown(
    store: DeltaEventStore, objects: FaultyObjects, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(log, "SETTLE_S", 0.0)
    objects.faults = [lost_request]
    with pytest.raises(OutcomeUnknownError):
        store.append("a", [event()])
    store.append("a", [event()])
    assert objects.puts == ["_delta_log/00000000000000000001.json"] * 2


def test_loser_of_a_race_takes_the_next_positions(store: DeltaEventStore, objects: FaultyObjects, warehouse: str) -> None:
    with open_store(warehouse) as other:
        objects.faults = [overtaken(lambda: other.append("b", [event(), event()]))]
        assert store.append("a", [event()], NO_STREAM) == (1, 1, 3, 3)
    assert positions(store) == [1, 2, 3]


def test_loser_of_a_race_removes_its_data_file(store: DeltaEventStore, objects: FaultyObjects, warehouse: str) -> None:
    with open_store(warehouse) as other:
        objects.faults = [overtaken(lambda: other.append("b", [event()]))]
        store.append("a", [event()])
    store.close()
    assert len(objects.deleted) == 1
    assert len(list(Path(warehouse).rglob("*.parquet"))) == 2


def test_loser_of_a_race_on_its_stream_is_refused(store: DeltaEventStore, objects: FaultyObjects, warehouse: str) -> None:
    with open_store(warehouse) as other:
        objects.faults = [overtaken(lambda: other.append("a", [event()]))]
        with pytest.raises(WrongExpectedVersionError) as refused:
            store.append("a", [event()], NO_STREAM)
    assert (refused.value.stream_id, refused.value.expected, refused.value.actual) == ("a", 0, 1)
    assert positions(store) == [1]


def test_another_process_s_version_is_expected_as_soon_as_it_is_there(store: DeltaEventStore, warehouse: str) -> None:
    """A refusal rests on the newest state, not on what this handle saw last."""
    with open_store(warehouse) as other:
        for version in range(5):
            writer = store if version % 2 else other
            assert writer.append("a", [event()], version).version == version + 1


def test_group_puts_all_that_wait_into_one_commit(store: DeltaEventStore, objects: FaultyObjects, seen: Measurements) -> None:
    committing, blocked, enough = threading.Event(), threading.Event(), threading.Barrier(9)

    def wait(real, path, data):  # type: ignore[no-untyped-def]
        committing.set()
        blocked.wait()
        return real.put_if_absent(path, data)

    objects.faults = [wait]
    answers: list[object] = []
    first = threading.Thread(target=lambda: answers.append(store.append("first", [event()])))
    first.start()
    committing.wait()                              # so that none of the others gets into its commit

    def append(number: int) -> None:
        enough.wait()
        answers.append(store.append(f"s-{number}", [event()], NO_STREAM))

    others = [threading.Thread(target=append, args=(number,)) for number in range(8)]
    for thread in others:
        thread.start()
    enough.wait()
    while store._committer._waiting.qsize() < 8:
        pass
    blocked.set()
    for thread in [first, *others]:
        thread.join()
    assert [m.appends for m in seen if isinstance(m, Committed)] == [1, 8]
    assert positions(store) == list(range(1, 10))


def test_group_that_lost_a_race_takes_in_those_who_have_come_meanwhile(
    store: DeltaEventStore, objects: FaultyObjects, seen: Measurements, warehouse: str
) -> None:
    with open_store(warehouse) as other:
        late: list[threading.Thread] = []

        def meanwhile() -> None:
            other.append("b", [event()])
            late.append(threading.Thread(target=lambda: store.append("late", [event()])))
            late[0].start()
            while not store._committer._waiting.qsize():
                pass

        objects.faults = [overtaken(meanwhile)]
        assert store.append("a", [event()], NO_STREAM).position == 2
        late[0].join()
    assert [(m.appends, m.attempts) for m in seen if isinstance(m, Committed)] == [(2, 2)]
    assert store.stream_version("late") == 1


def test_refusal_of_one_leaves_its_neighbours_alone(store: DeltaEventStore) -> None:
    with pytest.raises(WrongExpectedVersionError):
        store.append_many([Append("a", [event()]), Append("b", [event()], 7)])
    assert store.append("a", [event()], NO_STREAM).position == 1


def test_recorded_at_never_decreases_when_the_clock_does(warehouse: str) -> None:
    times = iter([2_000_000_000, 1_000_000_000, 3_000_000_000])
    with open_store(warehouse, clock=lambda: next(times)) as store:
        for _ in range(3):
            store.append("a", [event()])
        recorded = store.read_all().read_all()["recorded_at"].cast(pa.int64()).to_pylist()
    assert recorded == [2_000_000_000, 2_000_000_000, 3_000_000_000]


def test_log_far_ahead_of_the_clock_is_not_written_to(warehouse: str) -> None:
    with open_store(warehouse, clock=lambda: 10_000_000_000) as ahead:
        ahead.append("a", [event()])
    with open_store(warehouse, clock=lambda: 5_000_000_000) as store, pytest.raises(ClockSkewError):
        store.append("a", [event()])


def test_errors_carry_the_correlation_id(store: DeltaEventStore) -> None:
    with pytest.raises(WrongExpectedVersionError) as refused:
        store.append("a", [Event("Happened", {}, correlation_id="trace-7")], 5)
    assert refused.value.correlation_id == "trace-7"
    assert "trace-7" in str(refused.value)


def test_closed_store_says_so(store: DeltaEventStore) -> None:
    store.close()
    with pytest.raises(StoreClosedError):
        store.append("a", [event()])
    with pytest.raises(StoreClosedError):
        store.head()


def test_close_answers_what_waits(warehouse: str) -> None:
    store = open_store(warehouse)
    answers: list[object] = []
    threads = [threading.Thread(target=lambda n=n: answers.append(store.append(f"s-{n}", [event()]))) for n in range(20)]  # type: ignore[misc]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    store.close()
    assert len(answers) == 20


def test_remembered_ids_survive_many_appends_to_one_stream(store: DeltaEventStore) -> None:
    """ANY recognises a repeat among the last thousand events, from memory or from the log."""
    facts = [event(number) for number in range(1_200)]
    store.append("a", facts, ANY)
    for number in range(20):
        store.append("a", [event(number)], ANY)
    assert store.append("a", facts[500:600], ANY) == (501, 600, 501, 600)
    assert store.stream_version("a") == 1_220

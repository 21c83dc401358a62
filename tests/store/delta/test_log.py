"""Who sleeps while the log is checkpointed and cleaned past them loses nothing and doubles nothing."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from store import Event, open_store
from store.delta import compaction, log, log_cleanup
from store.delta.delta_store import DeltaEventStore
from store.delta.log import Log, Nobody, create, log_path
from store.delta.segment_files import SegmentFiles
from store.observer import LoggingObserver
from store.storage.local_objects import LocalObjects
from store.storage.objects import Objects
from store.times import now
from tests.store.delta.faults import Fault, FaultyObjects, overtaken
from tests.store.facts import everything, fact, facts, table

Asleep = Callable[[DeltaEventStore], Fault]


@pytest.fixture(autouse=True)
def moments_are_long(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(log, "ASLEEP_S", 0.0)
    monkeypatch.setattr(log_cleanup, "YOUNGEST_S", 0.0)


@pytest.fixture
def others(tmp_path: Path) -> Iterator[DeltaEventStore]:
    with open_store(str(tmp_path), create=True) as store:
        for number in range(5):
            store.append("a", [fact(number)])
        yield store


@pytest.fixture
def objects(others: DeltaEventStore, tmp_path: Path) -> FaultyObjects:
    return FaultyObjects(LocalObjects(tmp_path / "events"))


@pytest.fixture
def sleeper(objects: FaultyObjects) -> Iterator[DeltaEventStore]:
    with DeltaEventStore(objects, LoggingObserver(), now) as store:
        yield store


def pass_by(others: DeltaEventStore) -> None:
    """A busy hour: all log files below a checkpoint and all replaced files go."""
    for number in range(5):
        others.append("b", [fact(number)])
    others.compact()
    others.checkpoint()
    others.append("c", facts(1))
    others.clean_log(0)
    others.vacuum(0)


def put_after(others: DeltaEventStore) -> Fault:
    """Asleep before the put of the log file."""
    return overtaken(lambda: pass_by(others))


def put_before(others: DeltaEventStore) -> Fault:
    """Asleep between the put of the log file and its answer."""

    def put(real: Objects, path: str, data: bytes) -> bool:
        landed = real.put_if_absent(path, data)
        pass_by(others)
        return landed

    return put


asleep = pytest.mark.parametrize("asleep", [put_after, put_before])


@asleep
def test_sleeper_s_append_is_in_the_log_once(sleeper: DeltaEventStore, objects: FaultyObjects, others: DeltaEventStore, asleep: Asleep) -> None:
    objects.faults.append(asleep(others))
    event = Event("Woken", {})
    answer = sleeper.append("a", [event], 5)
    rows = everything(others)
    assert [row["position"] for row in rows if row["event_id"] == str(event.event_id)] == [answer.position]
    assert answer.version == 6
    assert [row["position"] for row in rows] == list(range(1, 13))
    assert everything(sleeper) == rows


@asleep
def test_sleeper_s_table_is_in_the_log_once(sleeper: DeltaEventStore, objects: FaultyObjects, others: DeltaEventStore, asleep: Asleep) -> None:
    objects.faults.append(asleep(others))
    answer = sleeper.append_table(table(7, stream_id=[f"t-{number}" for number in range(7)]))
    rows = everything(others)
    assert [row["position"] for row in rows if row["stream_id"][:2] == "t-"] == list(range(answer.first_position, answer.position + 1))
    assert [row["position"] for row in rows] == list(range(1, 19))


def test_unseen_commit_of_a_sleeper_is_withdrawn(sleeper: DeltaEventStore, objects: FaultyObjects, others: DeltaEventStore, tmp_path: Path) -> None:
    objects.faults.append(put_after(others))
    sleeper.append("a", facts(1), 5)
    assert not (tmp_path / "events" / log_path(6)).exists()


@asleep
def test_sleeping_compactor_harms_nobody(others: DeltaEventStore, objects: FaultyObjects, asleep: Asleep) -> None:
    own = Log(objects, Nobody())
    chosen = compaction.mergeable(own.segments())
    objects.faults.append(asleep(others))
    compaction.merge(objects, own, SegmentFiles(objects), chosen)
    assert [row["position"] for row in everything(others)] == list(range(1, 12))
    own.refresh()
    assert {segment.path for segment in own.segments()} == {segment.path for segment in others._log.segments()}


def test_sleeping_compactor_leaves_its_files_if_they_are_live(others: DeltaEventStore, objects: FaultyObjects) -> None:
    def put(real: Objects, path: str, data: bytes) -> bool:
        landed = real.put_if_absent(path, data)
        others.checkpoint()
        return landed

    own = Log(objects, Nobody())
    objects.faults.append(put)
    compaction.merge(objects, own, SegmentFiles(objects), compaction.mergeable(own.segments()))
    with open_store(str(objects.uri).removesuffix("/events")) as fresh:
        assert len(everything(fresh)) == 5


def test_handle_that_only_reads_wakes_up(others: DeltaEventStore, tmp_path: Path) -> None:
    with open_store(str(tmp_path)) as idle:
        assert len(everything(idle)) == 5
        pass_by(others)
        assert everything(idle) == everything(others)
        assert idle.stream_version("b") == 5


def test_stale_refusal_is_not_given(sleeper: DeltaEventStore, others: DeltaEventStore) -> None:
    """By what the sleeper knows, version 7 lies ahead."""
    pass_by(others)
    others.append("a", facts(2), 5)
    assert sleeper.append("a", facts(1), 7).version == 8


def test_opening_beside_a_clean_up_finds_the_newest_state(others: DeltaEventStore, tmp_path: Path) -> None:
    """The checkpoint that is read first is the older one; what followed it is gone before it is looked for."""
    others.checkpoint()
    real = LocalObjects(tmp_path / "events")

    class Slow(FaultyObjects):
        """Everything passes by between its first look and the next."""

        def open_late(self) -> None:
            hint = real.get("_delta_log/_last_checkpoint")
            pass_by(others)
            answers = [hint]
            self.get = lambda path: answers.pop() if answers and path.endswith("_last_checkpoint") else real.get(path)

    slow = Slow(real)
    kept = real.get("_delta_log/00000000000000000005.checkpoint.parquet")
    slow.open_late()
    real.replace("_delta_log/00000000000000000005.checkpoint.parquet", kept or b"")
    assert Log(slow, Nobody()).head == 11


def test_opening_beside_the_first_commit_of_another_finds_it(tmp_path: Path) -> None:
    """It comes after we looked for it, and before we list what is there."""
    real = LocalObjects(tmp_path / "events")

    class Slow(FaultyObjects):
        def get(self, path: str) -> bytes | None:
            found = real.get(path)
            if path == log_path(1):
                create(real, 0)
            return found

    assert Log(Slow(real), Nobody()).version == 0

"""What waits to be saved: nobody else's fault loses it, and what storage refuses is tried again."""

from __future__ import annotations

import multiprocessing
import threading
import uuid
from contextlib import closing
from typing import Any

import pytest

from store import Aggregate, Confidant, MemoryEventStore, SnapshotPolicy, StorageError
from store.deciding import snapshotter as module
from store.deciding.snapshotter import Snapshotter
from store.deciding.states import Known
from store.observer import Failed, Measurement, Snapshotted
from store.snapshots.memory import MemorySnapshots
from store.times import now

PATIENCE_S = 60.0
texts = Aggregate(category="text", initial="", evolve=lambda state, event: state, snapshots=SnapshotPolicy())


def keyless() -> Confidant:
    """No state here holds anything personal."""
    return MemoryEventStore().privacy


class Storage:
    """Storage that refuses with these errors first."""

    def __init__(self, *errors: BaseException) -> None:
        self.errors = list(errors)
        self.snapshots = MemorySnapshots()

    def __call__(self) -> MemorySnapshots:
        if self.errors:
            raise self.errors.pop(0)
        return self.snapshots

    def versions(self, *stream_ids: str) -> list[int]:
        return [saved.version for stream_id in stream_ids for saved in self.snapshots.newest("text", stream_id)[:1]]


class Seen:
    """Keeps what it is told. `saved`, `failed`: set when something was saved, or failed."""

    def __init__(self) -> None:
        self.told: list[Measurement] = []
        self.saved, self.failed = threading.Event(), threading.Event()

    def record(self, measurement: Measurement) -> None:
        self.told.append(measurement)
        if isinstance(measurement, Snapshotted):
            self.saved.set()
        if isinstance(measurement, Failed):
            self.failed.set()

    def failures(self) -> list[str]:
        return [one.error for one in self.told if isinstance(one, Failed)]


@pytest.fixture
def seen() -> Seen:
    return Seen()


@pytest.fixture
def later(monkeypatch: pytest.MonkeyPatch) -> None:
    """The thread saves nothing during the test."""
    monkeypatch.setattr(module, "SOON_S", PATIENCE_S)


@pytest.fixture
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "SOON_S", 0.0)
    monkeypatch.setattr(module, "AGAIN_S", 0.0)


def take(snapshotter: Snapshotter, stream_id: str, state: Any = "x", version: int = 1) -> None:
    snapshotter.take(texts, stream_id, Known(state, version, version, 0.0, event_id=str(uuid.uuid4())))


@pytest.mark.usefixtures("later")
def test_a_state_that_is_too_large_does_not_keep_others_from_being_saved(seen: Seen) -> None:
    storage = Storage()
    with closing(Snapshotter(storage, keyless, seen, now)) as snapshotter:
        take(snapshotter, "text-1")
        take(snapshotter, "text-2", "x" * 17_000_000)
        take(snapshotter, "text-3")
        assert snapshotter.flush() == 2
    assert storage.versions("text-1", "text-2", "text-3") == [1, 1]
    [failure] = seen.failures()
    assert "'text-2'" in failure
    assert "over the limit" in failure


@pytest.mark.usefixtures("later")
def test_what_storage_refuses_is_tried_again(seen: Seen) -> None:
    storage = Storage(StorageError("the disk is full"))
    with closing(Snapshotter(storage, keyless, seen, now)) as snapshotter:
        take(snapshotter, "text-1")
        take(snapshotter, "text-2")
        assert snapshotter.flush() == 0
        take(snapshotter, "text-2", version=2)
        assert snapshotter.flush() == 2
    assert storage.versions("text-1", "text-2") == [1, 2]
    assert seen.failures() == ["the disk is full"]


@pytest.mark.usefixtures("later")
def test_what_cannot_be_saved_is_not_tried_again(seen: Seen) -> None:
    with closing(Snapshotter(Storage(StorageError("full")), keyless, seen, now)) as snapshotter:
        take(snapshotter, "text-1")
        take(snapshotter, "text-2", {1, 2})
        assert [snapshotter.flush(), snapshotter.flush(), snapshotter.flush()] == [0, 1, 0]
    assert ["text-2" in failure for failure in seen.failures()] == [True, False]


@pytest.mark.usefixtures("later")
def test_of_a_large_state_little_is_told(seen: Seen) -> None:
    pairs = Aggregate(category="pair", initial={}, evolve=lambda state, event: state, snapshots=SnapshotPolicy())
    with closing(Snapshotter(Storage(), keyless, seen, now)) as snapshotter:
        snapshotter.take(pairs, "pair-1", Known({"pair": ("x" * 10_000,)}, 1, 1, 0.0, event_id=str(uuid.uuid4())))
        snapshotter.flush()
    [failure] = seen.failures()
    assert len(failure) < 500


@pytest.mark.usefixtures("later")
def test_no_more_wait_than_there_may(seen: Seen, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MOST", 2)
    storage = Storage(StorageError("full"))
    with closing(Snapshotter(storage, keyless, seen, now)) as snapshotter:
        for number in "123":
            take(snapshotter, f"text-{number}")
        snapshotter.flush()
        take(snapshotter, "text-3")
        take(snapshotter, "text-2", version=2)
        assert snapshotter.flush() == 2
    assert storage.versions("text-1", "text-2") == [1, 2]


@pytest.mark.usefixtures("at_once")
def test_the_thread_tries_again_by_itself(seen: Seen) -> None:
    storage = Storage(StorageError("full"), StorageError("full"))
    with closing(Snapshotter(storage, keyless, seen, now)) as snapshotter:
        take(snapshotter, "text-1")
        assert seen.saved.wait(PATIENCE_S)
    assert storage.versions("text-1") == [1]
    assert seen.failures() == ["full", "full"]


@pytest.mark.usefixtures("at_once")
def test_whatever_storage_raises_the_thread_goes_on(seen: Seen) -> None:
    with closing(Snapshotter(Storage(OSError("no more memory map")), keyless, seen, now)) as snapshotter:
        take(snapshotter, "text-1")
        assert seen.failed.wait(PATIENCE_S)
        take(snapshotter, "text-2")
        assert seen.saved.wait(PATIENCE_S)
    assert seen.failures() == ["OSError('no more memory map')"]


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
@pytest.mark.usefixtures("at_once")
def test_a_thread_that_has_ended_all_the_same_is_replaced(seen: Seen) -> None:
    storage = Storage(SystemExit())
    with closing(Snapshotter(storage, keyless, seen, now)) as snapshotter:
        take(snapshotter, "text-1")
        assert snapshotter._thread is not None
        snapshotter._thread.join(PATIENCE_S)
        take(snapshotter, "text-2")
        assert seen.saved.wait(PATIENCE_S)
    assert storage.versions("text-2") == [1]


def saved_in_child(snapshotter: Snapshotter, seen: Seen) -> None:
    seen.saved.clear()
    take(snapshotter, "text-2")
    assert seen.saved.wait(PATIENCE_S)


@pytest.mark.usefixtures("at_once")
def test_the_child_of_a_fork_has_a_thread_of_its_own(seen: Seen) -> None:
    with closing(Snapshotter(Storage(), keyless, seen, now)) as snapshotter:
        take(snapshotter, "text-1")
        assert seen.saved.wait(PATIENCE_S)
        child = multiprocessing.get_context("fork").Process(target=saved_in_child, args=(snapshotter, seen))
        child.start()
        child.join(2 * PATIENCE_S)
    assert child.exitcode == 0


@pytest.mark.usefixtures("later")
def test_without_a_thread_to_be_had_states_wait(seen: Seen, monkeypatch: pytest.MonkeyPatch) -> None:
    """What was decided is a fact all the same, and must not end in an error."""
    storage = Storage()

    def refuse(thread: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(threading.Thread, "start", refuse)
    with closing(Snapshotter(storage, keyless, seen, now)) as snapshotter:
        take(snapshotter, "text-1")
    assert storage.versions("text-1") == [1]

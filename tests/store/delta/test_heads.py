"""Heads: every handle knows how long a stream is, whoever wrote it and however much at once."""

from __future__ import annotations

import shutil
import uuid
from collections.abc import Callable, Iterator
from contextlib import nullcontext
from pathlib import Path

import pyarrow as pa
import pytest

from store import NO_STREAM, LoggingObserver, WrongExpectedVersionError, open_store
from store.delta import heads
from store.delta.commits import LISTED_STREAMS
from store.delta.delta_store import DeltaEventStore
from store.storage.local_objects import LocalObjects
from store.times import now
from tests.store.delta.faults import FaultyObjects
from tests.store.facts import facts, table


class WithoutTurns(FaultyObjects):
    """Storage on which writers cannot take turns, as an object store: nobody looks at the log first."""

    def turn(self) -> nullcontext[bool]:
        return nullcontext(False)


@pytest.fixture
def other(tmp_path: Path) -> Iterator[DeltaEventStore]:
    with open_store(str(tmp_path), create=True) as other:
        yield other


@pytest.fixture
def stale(other: DeltaEventStore, tmp_path: Path) -> Iterator[DeltaEventStore]:
    with DeltaEventStore(WithoutTurns(LocalObjects(tmp_path / "events")), LoggingObserver(), now) as store:
        yield store


def test_refusal_rests_on_the_newest_commit(stale: DeltaEventStore, other: DeltaEventStore) -> None:
    """What this handle last saw would have refused it."""
    other.append("a", facts(2))
    assert stale.append("a", facts(1), 2).version == 3


def test_repeat_rests_on_the_newest_commit(stale: DeltaEventStore, other: DeltaEventStore) -> None:
    events = facts(2)
    other.append("a", events, NO_STREAM)
    assert stale.append("a", events, NO_STREAM) == (1, 2, 1, 2)


def test_append_of_nothing_rests_on_the_newest_commit(stale: DeltaEventStore, other: DeltaEventStore) -> None:
    other.append("a", facts(1))
    with pytest.raises(WrongExpectedVersionError):
        stale.append("a", [], NO_STREAM)


def test_repeat_is_recognised_by_a_handle_that_has_just_opened(tmp_path: Path) -> None:
    first = facts(1)
    with open_store(str(tmp_path), create=True) as store:
        store.append("a", first)
        store.append("a", facts(999))
    with open_store(str(tmp_path)) as store:
        assert store.append("a", first) == (1, 1, 1, 1)


def test_version_moves_on_with_another_s_commit_of_more_streams_than_it_lists(tmp_path: Path) -> None:
    """Else this handle would give the stream's next version a second time."""
    with open_store(str(tmp_path), create=True) as store, open_store(str(tmp_path)) as other:
        other.append("a", facts(1))
        assert store.head() == 1
        rows = LISTED_STREAMS + 1
        other.append_table(table(rows, stream_id=["a", *(f"b-{number}" for number in range(1, rows))]))
        with pytest.raises(WrongExpectedVersionError):
            store.append("a", facts(1), 1)
        assert store.append("a", facts(1), 2).version == 3
        assert store.read_stream("a")["version"].to_pylist() == [1, 2, 3]


def test_repeat_of_another_s_append_is_recognised(tmp_path: Path) -> None:
    """Although this handle remembers what the stream's last events were before."""
    mine, theirs = facts(2)
    with open_store(str(tmp_path), create=True) as store, open_store(str(tmp_path)) as other:
        store.append("a", [mine])
        assert store.append("a", [mine]) == (1, 1, 1, 1)
        other.append("a", [theirs])
        assert store.append("a", [theirs]) == (2, 2, 2, 2)
        assert store.head() == 2


# Heads files ----------------------------------------------------------------------------------------------------


class Counting(FaultyObjects):
    """Notes which data files are opened."""

    def __init__(self, real: LocalObjects) -> None:
        super().__init__(real)
        self.opened: list[str] = []

    def open(self, path: str) -> pa.NativeFile:
        if path.startswith("shard="):
            self.opened.append(path)
        return self._real.open(path)


@pytest.fixture
def counting(tmp_path: Path) -> Iterator[tuple[DeltaEventStore, Counting]]:
    """A fresh handle on a log of 3,000 streams, compacted and with its heads saved, and a few commits after that."""
    rows = 6_000
    with open_store(str(tmp_path), create=True) as store:
        store.append_table(table(rows, stream_id=[f"s-{number % 3_000}" for number in range(rows)]))
        store.compact()
        store.checkpoint()
        store.append("s-1", facts(2))
        store.append("late", facts(2))
    objects = Counting(LocalObjects(tmp_path / "events"))
    with DeltaEventStore(objects, LoggingObserver(), now) as store:
        yield store, objects


def test_append_to_cold_new_and_changed_streams_reads_no_events(counting: tuple[DeltaEventStore, Counting]) -> None:
    store, objects = counting
    assert store.append("s-2", facts(1), 2).version == 3
    assert store.append("s-1", facts(1), 4).version == 5
    assert store.append("late", facts(1), 2).version == 3
    assert store.append("new", facts(1)).version == 1
    with pytest.raises(WrongExpectedVersionError):
        store.append("s-3", facts(1), 3)
    assert objects.opened == []


def test_table_over_many_cold_streams_reads_no_events(counting: tuple[DeltaEventStore, Counting]) -> None:
    store, objects = counting
    names = [f"s-{number}" for number in range(2_000)] + [f"new-{number}" for number in range(2_000)]
    store.append_table(table(4_000, stream_id=names))
    assert objects.opened == []
    assert (store.stream_version("s-1"), store.stream_version("s-1999"), store.stream_version("new-1999")) == (5, 3, 1)


def test_table_of_new_streams_with_ids_reads_no_events(counting: tuple[DeltaEventStore, Counting]) -> None:
    store, objects = counting
    given = table(2, stream_id=["new-1", "new-2"], event_id=[str(uuid.uuid4()) for _ in range(2)])
    answer = store.append_table(given)
    assert objects.opened == []
    assert store.append_table(given) == answer


@pytest.mark.parametrize("damage", [lambda file: file.unlink(), lambda file: file.write_bytes(b""), lambda file: file.write_bytes(b"\0" * 5_000)])
def test_heads_are_derived_again_when_their_file_is_missing_or_damaged(tmp_path: Path, damage: Callable[[Path], object]) -> None:
    with open_store(str(tmp_path), create=True) as store:
        store.append_table(table(300, stream_id=[f"s-{number % 100}" for number in range(300)]))
        store.checkpoint()
    (file,) = (tmp_path / "events" / "_heads").iterdir()
    whole = file.read_bytes()
    damage(file)
    with open_store(str(tmp_path)) as store:
        assert [store.stream_version(f"s-{number}") for number in (0, 99, 100)] == [3, 3, 0]
        assert store.append("s-7", facts(1), 3).version == 4
        store.checkpoint()
        assert store.stream_version("s-7") == 4
    assert whole not in [file.read_bytes() for file in (tmp_path / "events" / "_heads").iterdir()]
    with open_store(str(tmp_path)) as store:
        assert [store.stream_version(f"s-{number}") for number in (0, 7, 99, 100)] == [3, 4, 3, 0]


def test_heads_of_another_handle_s_checkpoint_serve_this_one(other: DeltaEventStore, tmp_path: Path) -> None:
    other.append("a", facts(3))
    with open_store(str(tmp_path)) as store:
        other.checkpoint()
        other.append("a", facts(1))
        other.checkpoint()
        assert store.append("a", facts(1), 4).version == 5


def test_memory_of_versions_is_bounded(other: DeltaEventStore, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(heads, "REMEMBERED_STREAMS", 50)
    for number in range(200):
        other.append(f"s-{number}", facts(1), NO_STREAM)
    assert sum(len(page.versions) for page in other._heads._pages) <= 50
    assert [other.append(f"s-{number}", facts(1), 1).version for number in range(0, 200, 20)] == [2] * 10


def test_checkpoint_lets_go_of_what_its_heads_file_says(other: DeltaEventStore) -> None:
    for number in range(20):
        other.append(f"s-{number}", facts(1))
    other.checkpoint()
    assert sum(len(page.versions) for page in other._heads._pages) == 0
    assert other.append("s-3", facts(1), 1).version == 2


def test_heads_of_a_log_that_lay_here_before_are_not_believed(other: DeltaEventStore, tmp_path: Path) -> None:
    other.append("a", facts(5))
    other.checkpoint()
    other.close()
    for folder in ("_delta_log", "shard=h"):
        shutil.rmtree(tmp_path / "events" / folder)
    with open_store(str(tmp_path), create=True) as store:
        store.append("b", facts(7))
        store.checkpoint()
    with open_store(str(tmp_path)) as store:
        assert (store.stream_version("a"), store.stream_version("b")) == (0, 7)
        assert store.append("a", facts(1), NO_STREAM).version == 1

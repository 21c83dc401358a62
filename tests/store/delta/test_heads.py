"""Heads: every handle knows how long a stream is, whoever wrote it and however much at once."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import nullcontext
from pathlib import Path

import pytest

from store import NO_STREAM, LoggingObserver, WrongExpectedVersionError, open_store
from store.delta.actions import LISTED_STREAMS
from store.delta.delta_store import DeltaEventStore
from store.delta.local_objects import LocalObjects
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

"""Append conditions where they are decided: in a group, after a lost race, across processes, on a long log."""

from __future__ import annotations

import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import nullcontext
from pathlib import Path

import pyarrow as pa
import pytest

import store as package
from store import ConditionFailedError, Event, Query, StorageError, open_store
from store.condition import Condition
from store.delta import committer, delta_store, trail
from store.delta.delta_store import DeltaEventStore
from store.delta.plan import Plan
from store.delta.request import Request
from store.draft import draft
from tests.store.facts import fact, table

HOUSE = Path(package.__file__).parents[1]
BOOKED = Query(["Booked"], ["flight:1"])


def booked() -> Event:
    return Event("Booked", {}, tags=["flight:1"])


@pytest.fixture
def store(tmp_path: Path) -> Iterator[DeltaEventStore]:
    with open_store(str(tmp_path), create=True) as store:
        yield store


@pytest.fixture
def other(store: DeltaEventStore, tmp_path: Path) -> Iterator[DeltaEventStore]:
    with open_store(str(tmp_path)) as other:
        yield other


def request(stream_id: str) -> Request:
    return Request([draft(stream_id, [booked()], 0)], lambda answer: None, time.monotonic(), Condition(BOOKED, 0, 0))


def test_in_a_group_the_first_one_s_events_refuse_the_second(store: DeltaEventStore) -> None:
    """And the plan is not final: no answer is given before it is durable, and none if the commit is lost."""
    plan = store._committer._planner.plan([request("a"), request("b")])
    assert isinstance(plan.answers[0], list)
    assert isinstance(plan.answers[1], ConditionFailedError)
    assert not plan.final
    assert plan.events is not None
    assert plan.events["stream_id"].to_pylist() == ["a"]


@pytest.mark.parametrize("winner", [booked(), fact()], ids=["a match", "another event"])
def test_the_winner_of_a_lost_race_is_looked_at(
    store: DeltaEventStore, other: DeltaEventStore, monkeypatch: pytest.MonkeyPatch, winner: Event
) -> None:
    """The condition held when the commit was tried; by the next try the log has moved."""
    publish, tries = committer.Committer._publish, []

    def late(self: committer.Committer, plan: Plan) -> bool:
        tries.append(plan.target)
        if len(tries) == 1:
            other.append("b", [winner])
        return publish(self, plan)

    monkeypatch.setattr(store._committer, "_publish", late.__get__(store._committer))
    monkeypatch.setattr(store._objects, "turn", lambda: nullcontext(False))     # turns are for fairness only: the other goes on meanwhile
    if winner.type == "Booked":
        with pytest.raises(ConditionFailedError) as refused:
            store.append("a", [booked()], fail_if=BOOKED)
        assert (refused.value.position, tries) == (1, [1])
    else:
        assert store.append("a", [booked()], fail_if=BOOKED).position == 2
        assert tries == [1, 2]


def test_what_another_process_appends_is_looked_at(store: DeltaEventStore, other: DeltaEventStore) -> None:
    after = 0
    for _ in range(5):
        after = store.append("a", [booked()], fail_if=BOOKED, after=after).position
        other.append("b", [fact()])
    other.append("b", [booked()])
    with pytest.raises(ConditionFailedError) as refused:
        store.append("a", [booked()], fail_if=BOOKED, after=after)
    assert (refused.value.stream_id, refused.value.position) == ("b", 11)


@pytest.mark.parametrize("kept", [2, 100])
def test_memory_is_bounded_and_forgets_nothing_that_counts(store: DeltaEventStore, monkeypatch: pytest.MonkeyPatch, kept: int) -> None:
    monkeypatch.setattr(trail, "KEPT", kept)
    store.append("a", [booked()])
    for _ in range(10):
        store.append("a", [fact()], fail_if=Query(["Never"]), after=store.head() - 1)
    recent = store._trail._trail
    assert recent is not None
    assert len(recent) <= max(2 * kept, 10)
    with pytest.raises(ConditionFailedError) as refused:
        store.append("b", [fact()], fail_if=BOOKED)
    assert refused.value.position == 1


def test_a_trail_that_nobody_asks_for_is_let_go(store: DeltaEventStore, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(trail, "KEPT", 10)
    store.append("a", [fact()])
    store.append("a", [booked()], fail_if=BOOKED)
    for _ in range(9):
        store.append("a", [fact()])
    assert store._trail._trail is not None
    store.append("a", [fact()])
    assert store._trail._trail is None
    with pytest.raises(ConditionFailedError):
        store.append("a", [fact()], fail_if=BOOKED, after=0)


def test_the_end_of_the_log_is_read_by_who_asks_and_holds_up_nobody(store: DeltaEventStore, other: DeltaEventStore) -> None:
    """By a handle that does not know it yet: in its caller's thread, without the log's lock, and not the payloads."""
    for _ in range(5):
        store.append("a", [booked()])
    reads, read = [], other._trail._read

    def watched(after: int, until: int) -> pa.Table:
        events = read(after, until)
        reads.append((after, until, threading.current_thread() is threading.main_thread(), other._log.lock._is_owned(), events.column_names))
        return events

    other._trail._read = watched  # type: ignore[method-assign]
    other.append("b", [fact()], fail_if=Query(["Never"]), after=1)
    assert reads == [(1, 5, True, False, ["position", "stream_id", "type", "tags"])]
    other.read_all(after=2, query=BOOKED).read_all()
    assert len(reads) == 1
    other.append("b", [fact()], fail_if=Query(["Never"]), after=0)
    assert reads[1:] == [(0, 1, True, False, ["position", "stream_id", "type", "tags"])]


def test_what_a_condition_cannot_read_fails_its_own_append_only(store: DeltaEventStore, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*arguments: object) -> None:
        raise MemoryError

    with monkeypatch.context() as patch:
        patch.setattr(store._trail, "find", broken)
        with pytest.raises(StorageError, match="could not be judged"):
            store.append("a", [fact()], fail_if=BOOKED)
    assert store.append("a", [fact()]).position == 1


def test_far_back_the_callers_thread_searches(store: DeltaEventStore, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(delta_store, "NEAR", 10)
    store.append_table(table(50, type=["Booked", *["Happened"] * 49], tags=[["flight:1"], *[[]] * 49]))
    condition = store._condition(BOOKED, 0)
    assert condition is not None
    assert (condition.looked, condition.found and condition.found.position) == (50, 1)
    assert store._condition(BOOKED, 1) == Condition(BOOKED, 1, 50)
    assert store._condition(BOOKED, 45) == Condition(BOOKED, 45, 45)
    assert store.append("a", [booked()], fail_if=BOOKED, after=1).position == 51


def test_processes_book_the_last_seats_and_no_more(tmp_path: Path) -> None:
    open_store(str(tmp_path), create=True).close()
    command = [sys.executable, "-m", "tests.store.delta.booker", str(tmp_path)]
    bookers = [subprocess.Popen([*command, str(number)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd=HOUSE, text=True) for number in range(4)]
    for booker in bookers:
        assert booker.stdout is not None
        assert booker.stdout.readline() == "ready\n"
    told = [booker.communicate("go\n")[0].split() for booker in bookers]
    assert [booker.returncode for booker in bookers] == [0] * 4
    assert sum(int(won) for won, _ in told) == 10
    with open_store(str(tmp_path)) as store:
        assert store.read_all(query=BOOKED).read_all().num_rows == 10

"""`recorded_at`: the store's time, which never decreases; and what a time means as a place in the log."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest

from store import Append, MemoryEventStore
from store.times import moment
from tests.store.facts import everything, fact, facts

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)
SECOND = timedelta(seconds=1)


def clock(*seconds: int) -> Iterator[int]:
    """Microseconds at these seconds after noon."""
    return iter([int(NOON.timestamp()) * 1_000_000 + second * 1_000_000 for second in seconds])


@pytest.fixture
def store() -> MemoryEventStore:
    """One append each at noon, ten seconds before, one after, and one after again."""
    times = clock(0, -10, 1, 1)
    store = MemoryEventStore(clock=lambda: next(times))
    for _ in range(4):
        store.append("a", facts(2))
    return store


def test_recorded_at_never_decreases_when_the_clock_does(store: MemoryEventStore) -> None:
    assert [row["recorded_at"] for row in everything(store)] == [NOON] * 4 + [NOON + SECOND] * 4


def test_recorded_at_is_exact_to_the_microsecond() -> None:
    store = MemoryEventStore(clock=lambda: 1_234_567_890_123_457)
    store.append("a", facts(1))
    assert everything(store)[0]["recorded_at"] == moment(1_234_567_890_123_457)


def test_recorded_at_is_one_for_all_of_an_append() -> None:
    times = iter(range(100))
    store = MemoryEventStore(clock=lambda: next(times))
    store.append_many([Append("a", facts(2)), Append("b", facts(2))])
    assert len({row["recorded_at"] for row in everything(store)}) == 1


def test_recorded_at_is_not_the_caller_s_to_choose() -> None:
    store = MemoryEventStore(clock=lambda: 0)
    store.append("a", [fact(occurred_at=NOON)])
    (row,) = everything(store)
    assert (row["occurred_at"], row["recorded_at"]) == (NOON, moment(0))


@pytest.mark.parametrize(
    ("time", "position"),
    [(NOON - SECOND, 0), (NOON, 4), (NOON + SECOND / 2, 4), (NOON + SECOND, 8), (NOON + 9 * SECOND, 8), (NOON - timedelta(microseconds=1), 0)],
)
def test_position_at_is_the_last_position_recorded_by_then(store: MemoryEventStore, time: datetime, position: int) -> None:
    assert store.position_at(time) == position
    assert store.sql("select count(*) from events", as_of=time).fetchall() == [(position,)]


def test_recorded_at_is_between_the_clock_s_times_around_it() -> None:
    store = MemoryEventStore()
    before = datetime.now(UTC)
    store.append("a", facts(1))
    assert before <= everything(store)[0]["recorded_at"] <= datetime.now(UTC)

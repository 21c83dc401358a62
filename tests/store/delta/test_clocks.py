"""Two writers whose clocks disagree: recorded_at never decreases, a little skew is absorbed, a lot is refused."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import pytest

from store import ClockSkewError, Event, open_store
from store.delta.delta_store import DeltaEventStore
from store.times import moment
from tests.store.facts import table

SECOND = 1_000_000
HOUR = 3_600 * SECOND
NOON = 1_700_000_000 * SECOND


@dataclass
class Hand:
    """A clock that goes when it is told to."""

    time: int

    def __call__(self) -> int:
        return self.time


@pytest.fixture
def fast() -> Hand:
    return Hand(NOON)


@pytest.fixture
def slow() -> Hand:
    return Hand(NOON)


@pytest.fixture
def ahead(tmp_path: Path, fast: Hand) -> Iterator[DeltaEventStore]:
    with open_store(str(tmp_path), create=True, clock=fast) as store:
        yield store


@pytest.fixture
def behind(tmp_path: Path, ahead: DeltaEventStore, slow: Hand) -> Iterator[DeltaEventStore]:
    with open_store(str(tmp_path), clock=slow) as store:
        yield store


def append(store: DeltaEventStore) -> int:
    return store.append("a", [Event("Happened", {})]).position


def recorded(store: DeltaEventStore) -> list[int]:
    return [time - NOON for time in store.read_all().read_all()["recorded_at"].cast(pa.int64()).to_pylist()]


def test_times_never_decrease_while_two_clocks_disagree(ahead: DeltaEventStore, behind: DeltaEventStore, fast: Hand, slow: Hand) -> None:
    for tick in range(1, 5):
        fast.time, slow.time = NOON + tick * SECOND, NOON + tick * SECOND - HOUR + 5 * SECOND
        append(ahead)
        append(behind)
    assert recorded(ahead) == recorded(behind) == [tick * SECOND for tick in (1, 1, 2, 2, 3, 3, 4, 4)]


def test_clock_behind_catches_up_and_is_believed_again(ahead: DeltaEventStore, behind: DeltaEventStore, fast: Hand, slow: Hand) -> None:
    fast.time = NOON + SECOND
    append(ahead)
    append(behind)
    slow.time = NOON + 2 * SECOND
    append(behind)
    assert recorded(ahead) == [SECOND, SECOND, 2 * SECOND]


def test_log_just_an_hour_ahead_is_written_to(ahead: DeltaEventStore, behind: DeltaEventStore, fast: Hand) -> None:
    fast.time = NOON + HOUR
    append(ahead)
    append(behind)
    assert recorded(behind) == [HOUR, HOUR]


def test_log_more_than_an_hour_ahead_is_refused_and_names_both_times(ahead: DeltaEventStore, behind: DeltaEventStore, fast: Hand) -> None:
    fast.time = NOON + HOUR + 1
    append(ahead)
    with pytest.raises(ClockSkewError) as refused:
        append(behind)
    assert str(moment(fast.time)) in str(refused.value)
    assert str(moment(NOON)) in str(refused.value)
    assert behind.head() == 1


def test_table_is_refused_like_an_append(ahead: DeltaEventStore, behind: DeltaEventStore, fast: Hand) -> None:
    fast.time = NOON + 2 * HOUR
    ahead.append_table(table(3))
    with pytest.raises(ClockSkewError):
        behind.append_table(table(3))
    assert behind.head() == 3


def test_clock_that_was_refused_is_served_once_it_is_set_right(ahead: DeltaEventStore, behind: DeltaEventStore, fast: Hand, slow: Hand) -> None:
    fast.time = NOON + 2 * HOUR
    append(ahead)
    with pytest.raises(ClockSkewError):
        append(behind)
    slow.time = NOON + HOUR
    assert append(behind) == 2
    assert recorded(ahead) == [2 * HOUR, 2 * HOUR]


def test_clock_far_ahead_of_the_log_is_as_good_as_a_quiet_log(ahead: DeltaEventStore, behind: DeltaEventStore, fast: Hand) -> None:
    """The other direction: nobody can tell it from a pause, so it is taken; who is behind it is refused from then on."""
    append(behind)
    fast.time = NOON + 3 * HOUR
    append(ahead)
    assert recorded(ahead) == [0, 3 * HOUR]
    with pytest.raises(ClockSkewError):
        append(behind)


def test_reader_behind_the_log_reads_it(ahead: DeltaEventStore, behind: DeltaEventStore, fast: Hand) -> None:
    fast.time = NOON + 3 * HOUR
    append(ahead)
    assert behind.head() == behind.stream_version("a") == 1
    assert recorded(behind) == [3 * HOUR]


@pytest.mark.parametrize("upkeep", ["compact", "checkpoint", "both"])
def test_upkeep_by_a_slow_clock_keeps_the_newest_time(
    ahead: DeltaEventStore, behind: DeltaEventStore, fast: Hand, tmp_path: Path, slow: Hand, upkeep: str
) -> None:
    """Also for whoever opens the log afterwards."""
    fast.time = NOON + HOUR // 2
    append(ahead)
    append(ahead)
    if upkeep != "checkpoint":
        assert behind.compact() != []
    if upkeep != "compact":
        behind.checkpoint()
    with open_store(str(tmp_path), clock=slow) as late:
        append(late)
        assert recorded(late) == [HOUR // 2] * 3


@pytest.mark.parametrize("upkeep", ["compact", "checkpoint", "both"])
def test_skew_is_refused_across_upkeep(ahead: DeltaEventStore, fast: Hand, tmp_path: Path, slow: Hand, upkeep: str) -> None:
    fast.time = NOON + HOUR + 2_000
    append(ahead)
    append(ahead)
    if upkeep != "checkpoint":
        assert ahead.compact() != []
    if upkeep != "compact":
        ahead.checkpoint()
    with open_store(str(tmp_path), clock=slow) as late, pytest.raises(ClockSkewError):
        append(late)


def test_time_never_goes_back_by_less_than_a_millisecond_across_a_checkpoint(tmp_path: Path, slow: Hand) -> None:
    """Statistics hold milliseconds; the log counts microseconds."""
    with open_store(str(tmp_path), create=True, clock=Hand(NOON + 1_999)) as store:
        append(store)
        store.checkpoint()
    with open_store(str(tmp_path), clock=slow) as store:
        append(store)
        first, second = recorded(store)
    assert second >= first == 1_999


def test_time_resolves_to_the_same_position_whoever_s_clock_stamped_it(
    ahead: DeltaEventStore, behind: DeltaEventStore, fast: Hand, slow: Hand
) -> None:
    """Before and after upkeep, and for both handles: the last position recorded by then."""
    for tick in range(1, 6):
        fast.time, slow.time = NOON + 2 * tick * SECOND, NOON + (2 * tick + 1) * SECOND - HOUR // 2
        append(ahead)
        append(behind)
    slow.time = NOON + 20 * SECOND
    append(behind)
    moments = [NOON - 1, NOON, *(NOON + tick * SECOND + jot for tick in range(2, 22) for jot in (-1, 0, 1))]
    times = recorded(ahead)
    expected = [sum(time <= instant - NOON for time in times) for instant in moments]
    assert [ahead.position_at(moment(instant)) for instant in moments] == expected
    behind.compact()
    behind.checkpoint()
    for store in (ahead, behind):
        assert [store.position_at(moment(instant)) for instant in moments] == expected
        counts = [store.sql("select count(*) from events", as_of=moment(instant)).fetchall() for instant in moments[::7]]
        assert counts == [[(count,)] for count in expected[::7]]

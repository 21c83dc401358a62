"""The order over several logs, against a sort of all their events."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from store.logs import order
from store.logs.order import Bounds, Cut, counted, in_order, place_of, ranked, settled

moments = st.lists(st.integers(0, 35), max_size=30).map(sorted)


@dataclass(frozen=True)
class Recorded:
    """A log of nothing but times. It keeps its promise: who appends takes that time or a later one."""

    recorded: Sequence[int]
    promised_at: int = 0
    generation: int = 1
    sealed: tuple[str, ...] = field(default=())

    def recorded_by(self, moment: int) -> int:
        return sum(at <= moment for at in self.recorded)

    def bounds(self) -> Bounds:
        """Of two files, which say no more than whole tens."""
        half = len(self.recorded) // 2
        parts = [(at, part) for at, part in ((0, self.recorded[:half]), (half, self.recorded[half:])) if part]
        return Bounds([(at + 1, at + len(part), part[0] // 10 * 10, -(-part[-1] // 10) * 10) for at, part in parts], len(self.recorded))

    def times(self, after: int, until: int) -> pa.ChunkedArray:
        return pa.chunked_array([self.recorded[after:until]], pa.int64())


def logs_of(recorded: Sequence[Sequence[int]]) -> list[Recorded]:
    return [Recorded(times, max(times, default=0)) for times in recorded]


def expected(logs: Sequence[Recorded]) -> list[tuple[int, int]]:
    """(rank, position) of each event, in order."""
    return [
        (rank, position)
        for _, rank, position in sorted((at, rank, number) for rank, log in enumerate(logs) for number, at in enumerate(log.recorded, 1))
    ]


def ordered(logs: Sequence[Recorded], after: Sequence[int], until: Sequence[int]) -> list[tuple[int, int]]:
    return [row for frame in in_order(logs, after, until) for row in frame.select("rank", "position").rows()]


def place_after(events: Sequence[tuple[int, int]], logs: int) -> list[int]:
    return [sum(rank == log for rank, _ in events) for log in range(logs)]


@pytest.fixture(autouse=True, params=[1, 4])
def small_steps(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(order, "SHORTEST_STEP", request.param)
    monkeypatch.setattr(order, "STEP", request.param)
    monkeypatch.setattr(order, "SOUGHT", request.param)


@given(st.lists(moments, min_size=1, max_size=4))
def test_events_come_by_time_then_by_log_then_by_position(recorded: list[list[int]]) -> None:
    logs = logs_of(recorded)
    assert ordered(logs, [0] * len(logs), [len(log.recorded) for log in logs]) == expected(logs)


@given(st.lists(moments, min_size=1, max_size=4), st.data())
def test_the_place_of_a_position_ends_the_events_before_it(recorded: list[list[int]], data: st.DataObject) -> None:
    logs = logs_of(recorded)
    events = expected(logs)
    position = data.draw(st.integers(0, len(events)))
    assert place_of(logs, position, 35) == place_after(events[:position], len(logs))


@given(st.lists(moments, min_size=1, max_size=4), st.data())
def test_what_lies_between_two_places_is_read_alone(recorded: list[list[int]], data: st.DataObject) -> None:
    logs = logs_of(recorded)
    events = expected(logs)
    first, last = sorted(data.draw(st.tuples(st.integers(0, len(events)), st.integers(0, len(events)))))
    assert ordered(logs, place_of(logs, first, 35), place_of(logs, last, 35)) == events[first:last]


@given(st.lists(st.tuples(moments, st.integers(0, 3), moments), min_size=1, max_size=4))
def test_what_is_settled_never_changes_whatever_is_appended(told: list[tuple[list[int], int, list[int]]]) -> None:
    """Each log promises as much as its last event says, or more; what comes later keeps to it."""
    before = [Recorded(times, max(times, default=0) + more) for times, more, _ in told]
    later = [[max(at, log.promised_at) for at in times] for log, (_, _, times) in zip(before, told, strict=True)]
    after = [replace(log, recorded=[*log.recorded, *times]) for log, times in zip(before, later, strict=True)]
    place = counted(before, settled(before))
    assert expected(after)[: sum(place)] == expected(before)[: sum(place)]
    assert place_after(expected(before)[: sum(place)], len(before)) == place


def test_nothing_is_settled_beside_a_log_that_has_promised_nothing() -> None:
    logs = [Recorded([5, 6], 6), Recorded([])]
    assert counted(logs, settled(logs)) == [0, 0]


def test_a_sealed_log_has_nothing_to_promise() -> None:
    logs = [Recorded([5, 6], 0, 0, ("h0-7", "h8-f")), Recorded([7], 7), Recorded([], 8)]
    assert settled(logs) == Cut(7, 1)
    assert counted(logs, settled(logs)) == [2, 1, 0]


def test_a_log_comes_before_its_parts() -> None:
    part, whole = Recorded([1], 1, 1), Recorded([1], 1, 0, ("h0",))
    assert ranked([part, whole]) == [whole, part]

"""Append conditions: no matching event past a position, whoever appended it (the rules of DCB and of UmaDB)."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from store import (
    ANY,
    NO_STREAM,
    Append,
    ConditionFailedError,
    DuplicateEventError,
    Event,
    EventStore,
    InvalidEventError,
    Query,
    WrongExpectedVersionError,
    correlated,
)
from tests.store.facts import at_once, fact, table

BOOKED = Query(["Booked"], ["flight:1"])


def booked(*tags: str) -> Event:
    return Event("Booked", {}, tags=tags or ("flight:1",))


def test_without_a_match_it_is_appended(store: EventStore) -> None:
    store.append("a", [booked("flight:2"), fact(tags=["flight:1"])])
    assert store.append("b", [booked()], fail_if=BOOKED).position == 3


def test_any_match_refuses_it(store: EventStore) -> None:
    store.append("a", [fact(), booked()])
    with pytest.raises(ConditionFailedError, match="read on from there") as refused:
        store.append("b", [booked()], fail_if=BOOKED)
    error = refused.value
    assert (error.query, error.after, error.position, error.stream_id, error.event_type) == (BOOKED, 0, 2, "a", "Booked")
    assert store.head() == 2


def test_what_was_seen_does_not_count(store: EventStore) -> None:
    store.append("a", [booked(), fact()])
    assert store.append("b", [booked()], fail_if=BOOKED, after=1).position == 3
    with pytest.raises(ConditionFailedError):
        store.append("b", [booked()], fail_if=BOOKED, after=2)


def test_after_may_be_beyond_the_last_match(store: EventStore) -> None:
    store.append("a", [booked(), fact(), fact()])
    assert store.append("b", [booked()], fail_if=BOOKED, after=3).position == 4


def test_an_append_does_not_match_itself(store: EventStore) -> None:
    assert store.append("a", [booked(), booked()], fail_if=BOOKED).version == 2


def test_events_of_tables_count(store: EventStore) -> None:
    store.append_table(table(2, type=["Booked"] * 2, tags=[["flight:2"], ["flight:1", "x"]]))
    with pytest.raises(ConditionFailedError) as refused:
        store.append("a", [booked()], fail_if=BOOKED)
    assert refused.value.position == 2


def test_every_append_after_it_counts_again(store: EventStore) -> None:
    after = 0
    for _ in range(5):
        after = store.append("a", [booked()], fail_if=BOOKED, after=after).position
        store.append("b", [fact()])
    with pytest.raises(ConditionFailedError) as refused:
        store.append("a", [booked()], fail_if=BOOKED, after=after - 2)
    assert refused.value.position == after


def test_a_repeat_gets_the_first_answer_though_its_own_events_match(store: EventStore) -> None:
    events = [booked(), booked()]
    first = store.append("a", events, fail_if=BOOKED)
    store.append("a", [booked()])
    assert store.append("a", events, fail_if=BOOKED) == first
    assert store.append("a", events, NO_STREAM, fail_if=BOOKED) == first
    assert store.head() == 3


def test_half_a_repeat_is_an_error_of_its_own(store: EventStore) -> None:
    event = booked()
    store.append("a", [event])
    with pytest.raises(DuplicateEventError):
        store.append("a", [event, booked()], fail_if=BOOKED)


def test_a_wrong_version_is_told_before_the_condition(store: EventStore) -> None:
    store.append("a", [booked()])
    with pytest.raises(WrongExpectedVersionError):
        store.append("a", [booked()], NO_STREAM, fail_if=BOOKED)


def test_the_condition_is_that_of_all_parts(store: EventStore) -> None:
    store.append("a", [booked()])
    with pytest.raises(ConditionFailedError):
        store.append_many([Append("b", [fact()]), Append("c", [fact()], ANY)], fail_if=BOOKED)
    assert len(store.append_many([Append("b", [fact()]), Append("c", [fact()])], fail_if=BOOKED, after=1)) == 2


def test_without_events_only_the_condition_is_checked(store: EventStore) -> None:
    assert store.append_many([], fail_if=BOOKED) == []
    assert store.append("b", [], fail_if=BOOKED).version == 0
    store.append("a", [booked()])
    with pytest.raises(ConditionFailedError):
        store.append_many([], fail_if=BOOKED)
    with pytest.raises(ConditionFailedError):
        store.append("b", [], fail_if=BOOKED)
    assert store.head() == 1


@pytest.mark.parametrize("after", [-1, True, 1.0, 2])
def test_a_position_that_nobody_has_seen_is_refused(store: EventStore, after: int) -> None:
    store.append("a", [fact()])
    with pytest.raises(InvalidEventError, match="no position that was seen"):
        store.append("a", [fact()], fail_if=BOOKED, after=after)


@pytest.mark.parametrize("after", [False, 0.0, None])
def test_a_position_is_a_number_with_and_without_a_query(store: EventStore, after: Any) -> None:
    for append in (lambda: store.append("a", [fact()], after=after), lambda: store.append_many([Append("a", [fact()])], after=after)):
        with pytest.raises(InvalidEventError, match="no position that was seen"):
            append()


def test_a_position_alone_is_refused_even_where_nothing_is_appended(store: EventStore) -> None:
    store.append("a", [fact()])
    with pytest.raises(InvalidEventError, match="belongs to no condition"):
        store.append_many([], after=1)


def test_a_position_without_a_query_is_a_mistake(store: EventStore) -> None:
    store.append("a", [fact()])
    with pytest.raises(InvalidEventError, match="belongs to no condition"):
        store.append("a", [fact()], after=1)


def test_a_condition_is_a_query(store: EventStore) -> None:
    with pytest.raises(InvalidEventError, match="is no Query"):
        store.append("a", [fact()], fail_if="Booked")  # type: ignore[arg-type]


def test_the_refusal_carries_the_correlation_id(store: EventStore) -> None:
    store.append("a", [booked()])
    with correlated("order-7"), pytest.raises(ConditionFailedError, match="correlation_id=order-7"):
        store.append("b", [booked()], fail_if=BOOKED)


def test_asyncio_has_conditions_too(store: EventStore) -> None:
    async def both() -> Sequence[object]:
        first = await store.aio.append("a", [booked()], fail_if=BOOKED)
        again = await asyncio.gather(store.aio.append_many([Append("b", [booked()])], fail_if=BOOKED), return_exceptions=True)
        return [first.position, type(again[0])]

    assert asyncio.run(both()) == [1, ConditionFailedError]


def test_two_seats_are_booked_twice_however_many_try(store: EventStore) -> None:
    """Sixteen bookers have all seen that one of two seats is left: one of them gets it."""
    seen = store.append("a", [booked()]).position
    outcomes = at_once(16, lambda number: store.append(f"booker-{number}", [booked()], fail_if=BOOKED, after=seen))
    assert sum(isinstance(outcome, ConditionFailedError) for outcome in outcomes) == 15
    assert store.head() == 2


def test_who_reads_on_books_as_long_as_there_are_seats(store: EventStore) -> None:
    def book(number: int) -> bool:
        while True:
            position = store.head()
            taken = store.read_all(until=position, query=BOOKED).read_all().num_rows
            if taken == 5:
                return False
            try:
                store.append(f"booker-{number}", [booked()], fail_if=BOOKED, after=position)
                return True
            except ConditionFailedError:
                continue

    with ThreadPoolExecutor(8) as pool:
        assert sum(pool.map(book, range(16))) == 5
    assert store.head() == 5

"""`append_many`: several streams at once, or none of them."""

from __future__ import annotations

import pytest

from store import (
    ANY,
    NO_STREAM,
    STREAM_EXISTS,
    Append,
    DuplicateEventError,
    EventStore,
    InvalidEventError,
    WrongExpectedVersionError,
)
from tests.store.facts import at_once, everything, fact, facts


def test_append_many_answers_part_by_part(store: EventStore) -> None:
    store.append("b", facts(1))
    answers = store.append_many([Append("a", facts(2), NO_STREAM), Append("b", facts(1), 1), Append("c", facts(1))])
    assert answers == [(1, 2, 2, 3), (2, 2, 4, 4), (1, 1, 5, 5)]


def test_append_many_puts_the_parts_in_order(store: EventStore) -> None:
    store.append_many([Append("b", facts(2)), Append("a", facts(1))])
    assert [row["stream_id"] for row in everything(store)] == ["b", "b", "a"]


def test_append_many_records_all_parts_at_one_time(store: EventStore) -> None:
    store.append_many([Append("a", facts(2)), Append("b", facts(1))])
    assert len({row["recorded_at"] for row in everything(store)}) == 1


def test_append_many_writes_nothing_if_one_part_is_refused(store: EventStore) -> None:
    with pytest.raises(WrongExpectedVersionError):
        store.append_many([Append("a", facts(2)), Append("b", facts(1), 3)])
    assert (store.head(), store.stream_version("a")) == (0, 0)


def test_append_many_writes_nothing_if_one_part_is_invalid(store: EventStore) -> None:
    with pytest.raises(InvalidEventError):
        store.append_many([Append("a", facts(2)), Append("", facts(1))])
    assert store.head() == 0


def test_append_many_reports_every_failing_check(store: EventStore) -> None:
    store.append("a", facts(2))
    with pytest.raises(WrongExpectedVersionError) as refused:
        store.append_many([Append("a", facts(1), 1), Append("ok", facts(1)), Append("b", [], STREAM_EXISTS), Append("c", facts(1), 4)])
    assert refused.value.conflicts == (("a", 1, 2), ("b", STREAM_EXISTS, 0), ("c", 4, 0))
    assert (refused.value.stream_id, refused.value.expected, refused.value.actual) == ("a", 1, 2)


def test_append_many_names_every_failing_check(store: EventStore) -> None:
    with pytest.raises(WrongExpectedVersionError, match=r"'a' is at version 0, expected 1; .*'b' is at version 0, expected STREAM_EXISTS"):
        store.append_many([Append("a", facts(1), 1), Append("b", facts(1), STREAM_EXISTS)])


def test_append_many_checks_streams_that_it_does_not_write(store: EventStore) -> None:
    store.append("limit", facts(1))
    with pytest.raises(WrongExpectedVersionError):
        store.append_many([Append("a", facts(1)), Append("limit", [], NO_STREAM)])
    assert store.append_many([Append("a", facts(1)), Append("limit", [], 1)])[0] == (1, 1, 2, 2)


def test_append_many_of_checks_alone_writes_nothing(store: EventStore) -> None:
    store.append("a", facts(1))
    store.append_many([Append("a", [], 1), Append("b", [], NO_STREAM)])
    assert store.head() == 1


def test_append_many_of_nothing_answers_nothing(store: EventStore) -> None:
    assert store.append_many([]) == []


def test_append_many_repeated_returns_the_first_answer(store: EventStore) -> None:
    parts = [Append("a", facts(2), NO_STREAM), Append("b", facts(1), ANY)]
    first = store.append_many(parts)
    store.append("a", facts(1))
    assert store.append_many(parts) == first
    assert store.head() == 4


def test_append_many_repeated_answers_although_its_checks_hold_no_more(store: EventStore) -> None:
    parts = [Append("a", facts(2), NO_STREAM), Append("limit", [], NO_STREAM)]
    first = store.append_many(parts)
    store.append("limit", facts(1))
    assert store.append_many(parts)[0] == first[0]
    assert store.head() == 3


def test_append_many_of_a_repeat_and_news_is_an_error(store: EventStore) -> None:
    event = fact()
    store.append("a", [event], NO_STREAM)
    with pytest.raises(DuplicateEventError):
        store.append_many([Append("a", [event], NO_STREAM), Append("b", facts(1), NO_STREAM)])
    assert store.head() == 1


def test_append_many_of_a_repeat_and_a_failing_check_reports_the_check(store: EventStore) -> None:
    event = fact()
    store.append("a", [event], NO_STREAM)
    with pytest.raises(WrongExpectedVersionError) as refused:
        store.append_many([Append("a", [event], NO_STREAM), Append("b", facts(1), 5)])
    assert refused.value.conflicts == (("b", 5, 0),)


def test_append_many_takes_one_id_in_two_streams(store: EventStore) -> None:
    event = fact()
    assert [answer.position for answer in store.append_many([Append("a", [event]), Append("b", [event])])] == [1, 2]


def test_append_many_refuses_a_stream_named_twice(store: EventStore) -> None:
    with pytest.raises(InvalidEventError, match="'a' stands twice"):
        store.append_many([Append("a", facts(1)), Append("a", facts(1))])
    assert store.head() == 0


def test_append_many_races_have_one_winner(store: EventStore) -> None:
    """Both streams in opposite orders: no deadlock, and no half."""

    def append(number: int) -> object:
        parts = [Append("a", [fact(number)], NO_STREAM), Append("b", [fact(number)], NO_STREAM)]
        return store.append_many(parts[:: 1 if number % 2 else -1])

    answers = at_once(8, append)
    assert sum(isinstance(answer, list) for answer in answers) == 1
    assert len({row["data"] for row in everything(store)}) == 1
    assert store.head() == 2

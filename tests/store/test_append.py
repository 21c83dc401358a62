"""`append`: what each expectation accepts, refuses and recognises; KurrentDB's outcomes."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from store import (
    ANY,
    NO_STREAM,
    STREAM_EXISTS,
    Appended,
    DuplicateEventError,
    Event,
    EventStore,
    StoreClosedError,
    WrongExpectedVersionError,
)
from tests.store.facts import at_once, everything, fact, facts

HOLDS = [(0, NO_STREAM), (0, ANY), (2, 2), (2, ANY), (2, STREAM_EXISTS)]
FAILS = [(0, 1), (0, STREAM_EXISTS), (2, NO_STREAM), (2, 1), (2, 3)]
"""(version of the stream, expectation)"""


@pytest.fixture
def history(store: EventStore) -> list[Event]:
    """Four events of stream `a`, appended two by two; position 1 belongs to another stream."""
    events = facts(4)
    store.append("other", [fact()])
    store.append("a", events[:2], NO_STREAM)
    store.append("a", events[2:], 2)
    return events


def test_append_counts_versions_from_one_in_each_stream(store: EventStore) -> None:
    store.append("a", facts(2))
    store.append("b", facts(1))
    store.append("a", facts(1))
    assert [(row["stream_id"], row["version"]) for row in everything(store)] == [("a", 1), ("a", 2), ("b", 1), ("a", 3)]


def test_append_counts_positions_from_one_without_gaps(store: EventStore) -> None:
    for number in range(5):
        store.append(f"s-{number % 2}", facts(number))
    assert [row["position"] for row in everything(store)] == list(range(1, 11))


def test_append_answers_the_range_of_its_events(store: EventStore) -> None:
    store.append("a", facts(2))
    assert store.append("b", facts(3)) == Appended(first_version=1, version=3, first_position=3, position=5)


def test_append_keeps_every_field(store: EventStore) -> None:
    event = Event(
        "Häppened",
        {"deep": [1, 2.5, None, {"": "é\n"}], "big": -(2**63)},
        schema_version=7,
        occurred_at=datetime(2013, 1, 1, 5, 15, 0, 123456, UTC),
        correlation_id="c",
        causation_id="d",
        tags=["x", "ÿ"],
        metadata={"user": "me"},
    )
    store.append("a-ü", [event])
    (row,) = everything(store)
    recorded_at = row.pop("recorded_at")
    assert recorded_at.utcoffset().total_seconds() == 0
    assert row == {
        "position": 1,
        "stream_id": "a-ü",
        "version": 1,
        "event_id": event.event_id,
        "type": "Häppened",
        "schema_version": 7,
        "occurred_at": event.occurred_at,
        "correlation_id": "c",
        "causation_id": "d",
        "tags": ["x", "ÿ"],
        "data": '{"deep":[1,2.5,null,{"":"é\\n"}],"big":-9223372036854775808}',
        "metadata": '{"user":"me"}',
    }


def test_append_keeps_json_bytes_as_they_are(store: EventStore) -> None:
    text = '{ "n": 1.50, "é": 123456789012345678901234567890 }'
    store.append("a", [Event("Happened", text.encode())])
    assert everything(store)[0]["data"] == text


def test_append_without_occurred_at_takes_the_recorded_time(store: EventStore) -> None:
    store.append("a", [fact()])
    (row,) = everything(store)
    assert row["occurred_at"] == row["recorded_at"]


@pytest.mark.parametrize(("version", "expected"), HOLDS)
def test_append_writes_if_the_expectation_holds(store: EventStore, version: int, expected: Any) -> None:
    store.append("a", facts(version))
    assert store.append("a", facts(2), expected) == (version + 1, version + 2, version + 1, version + 2)


@pytest.mark.parametrize(("version", "expected"), FAILS)
def test_append_is_refused_if_the_expectation_fails(store: EventStore, version: int, expected: Any) -> None:
    store.append("a", facts(version))
    with pytest.raises(WrongExpectedVersionError):
        store.append("a", facts(2), expected)
    assert store.head() == version


def test_refused_append_names_stream_expectation_and_version(store: EventStore) -> None:
    store.append("a", facts(2))
    with pytest.raises(WrongExpectedVersionError, match="'a' is at version 2, expected 7") as refused:
        store.append("a", facts(1), 7)
    assert (refused.value.stream_id, refused.value.expected, refused.value.actual) == ("a", 7, 2)


@pytest.mark.parametrize(("version", "expected"), HOLDS)
def test_append_of_nothing_answers_an_empty_range(store: EventStore, version: int, expected: Any) -> None:
    store.append("a", facts(version))
    answer = store.append("a", [], expected)
    assert (answer.first_version, answer.version) == (version + 1, version)
    assert answer.first_position == answer.position + 1
    assert store.head() == version


@pytest.mark.parametrize(("version", "expected"), FAILS)
def test_append_of_nothing_checks_the_expectation(store: EventStore, version: int, expected: Any) -> None:
    store.append("a", facts(version))
    with pytest.raises(WrongExpectedVersionError):
        store.append("a", [], expected)


def test_append_of_nothing_does_not_make_a_stream(store: EventStore) -> None:
    store.append("a", [], NO_STREAM)
    assert store.append("a", facts(1), NO_STREAM).version == 1


@pytest.mark.parametrize("expected", [NO_STREAM, ANY, STREAM_EXISTS])
def test_append_repeated_returns_the_first_answer(store: EventStore, history: list[Event], expected: Any) -> None:
    assert store.append("a", history[:2], expected) == (1, 2, 2, 3)
    assert store.head() == 5


@pytest.mark.parametrize("expected", [2, ANY, STREAM_EXISTS])
def test_append_repeated_at_the_end_returns_the_first_answer(store: EventStore, history: list[Event], expected: Any) -> None:
    assert store.append("a", history[2:], expected) == (3, 4, 4, 5)
    assert store.head() == 5


@pytest.mark.parametrize("expected", [NO_STREAM, ANY, STREAM_EXISTS])
def test_append_of_two_appends_in_one_is_a_repeat(store: EventStore, history: list[Event], expected: Any) -> None:
    assert store.append("a", history, expected) == (1, 4, 2, 5)


def test_append_recognises_equal_ids_of_other_objects(store: EventStore, history: list[Event]) -> None:
    twin = Event("Renamed", {}, event_id=str(history[0].event_id).upper())
    assert store.append("a", [twin], NO_STREAM) == (1, 1, 2, 2)


@pytest.mark.parametrize("expected", [1, 3])
def test_append_repeated_at_another_place_is_refused(store: EventStore, history: list[Event], expected: int) -> None:
    with pytest.raises(WrongExpectedVersionError):
        store.append("a", history[:2], expected)


def test_append_at_the_exact_end_is_new_whatever_its_ids(store: EventStore, history: list[Event]) -> None:
    """As in KurrentDB: a caller who expects the version that is there means to append."""
    assert store.append("a", history[:1], 4).version == 5


@pytest.mark.parametrize("expected", [NO_STREAM, ANY, STREAM_EXISTS])
def test_append_of_old_and_new_events_is_an_error(store: EventStore, history: list[Event], expected: Any) -> None:
    with pytest.raises(DuplicateEventError) as refused:
        store.append("a", [history[0], fact()], expected)
    assert (refused.value.stream_id, refused.value.event_id) == ("a", history[0].event_id)
    assert store.head() == 5


@pytest.mark.parametrize("expected", [2, ANY, STREAM_EXISTS])
def test_append_of_more_than_was_there_is_an_error(store: EventStore, history: list[Event], expected: Any) -> None:
    with pytest.raises(DuplicateEventError):
        store.append("a", [*history[2:], fact()], expected)
    assert store.head() == 5


@pytest.mark.parametrize("expected", [ANY, STREAM_EXISTS])
def test_append_of_new_and_old_events_is_an_error(store: EventStore, history: list[Event], expected: Any) -> None:
    with pytest.raises(DuplicateEventError):
        store.append("a", [fact(), history[3]], expected)
    assert store.head() == 5


def test_append_of_new_and_old_events_at_a_past_version_is_refused(store: EventStore, history: list[Event]) -> None:
    with pytest.raises(WrongExpectedVersionError):
        store.append("a", [fact(), history[3]], 2)


@pytest.mark.parametrize("expected", [NO_STREAM, ANY])
def test_append_of_ids_from_another_stream_is_new(store: EventStore, history: list[Event], expected: Any) -> None:
    assert store.append("b", history, expected) == (1, 4, 6, 9)


@pytest.mark.parametrize("expected", [ANY, STREAM_EXISTS])
def test_append_is_recognised_a_thousand_events_later(store: EventStore, expected: Any) -> None:
    first = fact()
    store.append("a", [first])
    store.append("a", facts(999))
    assert store.append("a", [first], expected) == (1, 1, 1, 1)


def test_append_at_an_exact_version_is_recognised_for_ever(store: EventStore) -> None:
    first = fact()
    store.append("a", [first], NO_STREAM)
    store.append("a", facts(3_000))
    assert store.append("a", [first], NO_STREAM) == (1, 1, 1, 1)


def test_append_takes_any_iterable(store: EventStore) -> None:
    assert store.append("a", iter(facts(3))).version == 3  # type: ignore[arg-type]


def test_append_races_have_one_winner(store: EventStore) -> None:
    for version in range(5):
        answers = at_once(8, lambda number, version=version: store.append("a", [fact(number)], version))
        assert sorted(type(answer).__name__ for answer in answers) == ["Appended"] + ["WrongExpectedVersionError"] * 7
    assert store.stream_version("a") == 5


def test_append_of_the_same_event_by_many_is_one_append(store: EventStore) -> None:
    event = fact()
    assert at_once(8, lambda _: store.append("a", [event])) == [(1, 1, 1, 1)] * 8
    assert store.head() == 1


def test_append_from_many_threads_keeps_the_order_dense(store: EventStore) -> None:
    answers = at_once(8, lambda number: [store.append(f"s-{number % 3}", facts(2)) for _ in range(10)])
    assert sorted(answer.position for part in answers for answer in part) == list(range(2, 161, 2))
    for number in range(3):
        versions = store.read_stream(f"s-{number}")["version"].to_pylist()
        assert versions == list(range(1, len(versions) + 1))


def test_append_is_read_back_where_it_was_answered(store: EventStore) -> None:
    events = {number: facts(3) for number in range(8)}
    answers = at_once(8, lambda number: store.append("a", events[number]))
    rows = everything(store)
    for number, answer in enumerate(answers):
        there = rows[answer.first_position - 1 : answer.position]
        assert [(row["event_id"], row["version"]) for row in there] == [
            (event.event_id, version) for version, event in enumerate(events[number], answer.first_version)
        ]


def test_append_to_a_closed_store_says_so(store: EventStore) -> None:
    store.close()
    with pytest.raises(StoreClosedError):
        store.append("a", facts(1))


def test_closing_twice_is_harmless(store: EventStore) -> None:
    store.close()
    store.close()

from __future__ import annotations

import asyncio

import pytest

from store import Event, EventStore, InvalidEventError, RecordedEvent, WrongExpectedVersionError, caused_by, correlated
from tests.store.facts import fact, table


def recorded(store: EventStore, stream_id: str = "a") -> list[RecordedEvent]:
    return list(RecordedEvent.each(store.read_stream(stream_id)))


def test_events_take_the_ids_that_surround_them(store: EventStore) -> None:
    with correlated("order-7", "cause-1"):
        store.append("a", [fact()])
    assert [(event.correlation_id, event.causation_id) for event in recorded(store)] == [("order-7", "cause-1")]


def test_an_events_own_ids_win(store: EventStore) -> None:
    with correlated("order-7", "cause-1"):
        store.append("a", [fact(correlation_id="mine", causation_id="because")])
    assert [(event.correlation_id, event.causation_id) for event in recorded(store)] == [("mine", "because")]


def test_tables_take_them_where_they_bring_none(store: EventStore) -> None:
    with correlated("order-7", "cause-1"):
        store.append_table(table(1, stream_id=["a"]))
        store.append_table(table(1, stream_id=["a"], correlation_id=["mine"]))
    assert [(event.correlation_id, event.causation_id) for event in recorded(store)] == [("order-7", "cause-1"), ("mine", "cause-1")]


def test_outside_there_are_none(store: EventStore) -> None:
    with correlated("order-7"):
        pass
    store.append("a", [fact()])
    assert recorded(store)[0].correlation_id is None


def test_without_an_id_one_is_made_or_the_surrounding_one_goes_on() -> None:
    with correlated() as made, correlated(causation_id="why") as inner:
        assert made == inner


def test_what_an_event_brings_about_names_it_and_keeps_its_correlation(store: EventStore) -> None:
    store.append("a", [fact(correlation_id="order-7"), fact(1)])
    first, second = recorded(store)
    with caused_by(first):
        store.append("b", [fact()])
    with caused_by(second):
        store.append("b", [fact()])
    told = [(event.correlation_id, event.causation_id) for event in recorded(store, "b")]
    assert told == [("order-7", first.event_id), (second.event_id, second.event_id)]


def test_tasks_keep_theirs_apart(store: EventStore) -> None:
    async def work(number: int) -> None:
        with correlated(f"task-{number}"):
            await store.aio.append(f"s-{number}", [fact()])

    async def both() -> None:
        await asyncio.gather(work(1), work(2))

    asyncio.run(both())
    assert [recorded(store, f"s-{number}")[0].correlation_id for number in (1, 2)] == ["task-1", "task-2"]


def test_errors_carry_the_surrounding_id(store: EventStore) -> None:
    with correlated("order-7"):
        with pytest.raises(WrongExpectedVersionError, match=r"\[correlation_id=order-7\]"):
            store.append("a", [fact()], expected_version=3)
        with pytest.raises(WrongExpectedVersionError, match=r"\[correlation_id=order-7\]"):
            store.append("a", [], expected_version=3)
        with pytest.raises(InvalidEventError, match=r"\[correlation_id=order-7\]"):
            store.append("", [fact()])
        with pytest.raises(InvalidEventError, match=r"\[correlation_id=mine\]"):
            store.append("a", [Event("", {}, correlation_id="mine")])


def test_a_bad_surrounding_id_is_refused_like_an_events_own(store: EventStore) -> None:
    with correlated("a\nb"), pytest.raises(InvalidEventError, match="correlation_id"):
        store.append("a", [fact()])
    with correlated("a\nb"), pytest.raises(InvalidEventError, match="correlation_id"):
        store.append_table(table(1))


def test_ids_are_texts_and_causes_were_read_from_the_log() -> None:
    with pytest.raises(TypeError, match="7 is no id"), correlated(7):  # type: ignore[arg-type]
        pass
    with pytest.raises(TypeError, match=r"RecordedEvent\.each"), caused_by({"event_id": "7"}):  # type: ignore[arg-type]
        pass

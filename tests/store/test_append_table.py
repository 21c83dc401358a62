"""`append_table`: a table of events, checked by columns, appended whole."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import polars as pl
import pyarrow as pa
import pytest

from store import ANY, NO_STREAM, DuplicateEventError, EventStore, InvalidEventError, StoreClosedError
from tests.store.facts import at_once, everything, fact, facts, table

EARLY = datetime(2013, 1, 1, 5, 15, tzinfo=UTC)


def ids(count: int) -> list[str]:
    return [str(uuid.uuid4()) for _ in range(count)]


def test_append_table_keeps_row_order(store: EventStore) -> None:
    store.append_table(table(4, stream_id=["b", "a", "b", "c"], data=[f'{{"n":{n}}}' for n in range(4)]))
    assert [(row["position"], row["stream_id"], row["version"], row["data"]) for row in everything(store)] == [
        (1, "b", 1, '{"n":0}'),
        (2, "a", 1, '{"n":1}'),
        (3, "b", 2, '{"n":2}'),
        (4, "c", 1, '{"n":3}'),
    ]


def test_append_table_answers_its_positions(store: EventStore) -> None:
    store.append("a", facts(2))
    assert store.append_table(table(3)) == (3, 5)


def test_append_table_goes_on_from_the_streams_versions(store: EventStore) -> None:
    store.append("a", facts(2))
    store.append_table(table(2))
    assert store.append("a", facts(1), 4).version == 5


def test_append_table_does_with_the_columns_it_must_have(store: EventStore) -> None:
    store.append_table(table(2))
    first, second = everything(store)
    assert (first["schema_version"], first["tags"], first["metadata"], first["correlation_id"], first["causation_id"]) == (1, [], None, None, None)
    assert first["occurred_at"] == first["recorded_at"] == second["recorded_at"]
    assert uuid.UUID(first["event_id"]) != uuid.UUID(second["event_id"])


def test_append_table_keeps_every_column(store: EventStore) -> None:
    given = table(
        2,
        stream_id=["a-1", "b-ü"],
        event_id=ids(2),
        schema_version=pa.array([1, 7], pa.int32()),
        occurred_at=pa.array([EARLY, EARLY], pa.timestamp("us", "UTC")),
        correlation_id=["c", None],
        causation_id=[None, "d"],
        tags=[["x", "y"], []],
        data=['{"n": 1.50}', '{"é":"\\n"}'],
        metadata=[None, "{}"],
    )
    store.append_table(given)
    assert store.read_all().read_all().select(given.column_names).to_pylist() == given.to_pylist()


def test_append_table_takes_the_recorded_time_where_none_is_given(store: EventStore) -> None:
    store.append_table(table(2, occurred_at=pa.array([None, EARLY], pa.timestamp("us", "UTC"))))
    first, second = everything(store)
    assert first["occurred_at"] == first["recorded_at"]
    assert second["occurred_at"] == EARLY


def test_append_table_takes_no_tags_where_none_are_given(store: EventStore) -> None:
    store.append_table(table(2, tags=[None, ["x"]]))
    assert [row["tags"] for row in everything(store)] == [[], ["x"]]


NO_ROWS = [table(0), table(0, event_id=[]), table(1).slice(1), table(1).schema.empty_table()]


@pytest.mark.parametrize("empty", NO_ROWS, ids=["untyped", "with ids", "sliced", "typed"])
def test_append_table_of_no_rows_writes_nothing(store: EventStore, empty: pa.Table) -> None:
    store.append("a", facts(2))
    assert store.append_table(empty) == (3, 2)
    assert store.head() == 2


ACCEPTED: dict[str, Callable[[], dict[str, Any]]] = {
    "dictionary-encoded": lambda: {name: pa.array(["a"] * 3).dictionary_encode() for name in ("stream_id", "type")},
    "large strings": lambda: {"stream_id": pa.array(["a"] * 3, pa.large_string()), "data": pa.array(["{}"] * 3, pa.large_string())},
    "string views": lambda: {"stream_id": pa.array(["a"] * 3, pa.string_view()), "data": pa.array(["{}"] * 3, pa.string_view())},
    "chunks": lambda: {"stream_id": pa.chunked_array([["a"], ["a", "a"]]), "data": pa.chunked_array([["{}", "{}"], [], ["{}"]], pa.string())},
    "slices": lambda: {"stream_id": pa.array(["", "a", "a", "a"])[1:], "data": pa.array(["not", "{}", "{}", "{}", "JSON"])[1:4]},
    "milliseconds": lambda: {"occurred_at": pa.array([EARLY] * 3, pa.timestamp("ms", "UTC"))},
    "another time zone": lambda: {"occurred_at": pa.array([EARLY] * 3, pa.timestamp("s", "America/New_York"))},
    "nanoseconds": lambda: {"occurred_at": pa.array([EARLY] * 3, pa.timestamp("ns", "UTC"))},
    "large lists": lambda: {"tags": pa.array([["x"], [], None], pa.large_list(pa.large_string()))},
    "small integers": lambda: {"schema_version": pa.array([1, 2, 3], pa.int8())},
    "lines of JSON": lambda: {"data": ['{\n "a": 1\n}', ' {}', '\n{}\n']},
    "any Unicode": lambda: {"stream_id": ["ä-1", "東京", "🛩 x"], "type": ["a b", "'%\"", "é"]},
}


@pytest.mark.parametrize("columns", ACCEPTED.values(), ids=ACCEPTED.keys())
def test_append_table_takes_columns_of(store: EventStore, columns: Callable[[], dict[str, Any]]) -> None:
    given = table(**columns())
    store.append_table(given)
    wanted = [{**row, "tags": row["tags"] or []} if "tags" in row else row for row in given.to_pylist()]
    assert store.read_all().read_all().select(given.column_names).to_pylist() == wanted


def test_append_table_takes_what_polars_gives(store: EventStore) -> None:
    frame = pl.DataFrame({"stream_id": ["a"], "type": ["T"], "data": ["{}"], "tags": [["x"]], "occurred_at": [EARLY]})
    store.append_table(frame.to_arrow())
    (row,) = everything(store)
    assert (row["occurred_at"], row["tags"]) == (EARLY, ["x"])


def nth(value: Any) -> list[Any]:
    """Bad in the second row of three."""
    return [None, value, None]


REFUSED: dict[str, tuple[Callable[[], Any], str]] = {
    "no table": (lambda: [{"stream_id": "a"}], "events 'list' is not a pyarrow Table"),
    "no stream_id": (lambda: table(stream_id=None), "lack the column stream_id"),
    "no type": (lambda: table(type=None), "lack the column type"),
    "no data": (lambda: table(data=None), "lack the column data"),
    "an unknown column": (lambda: table(position=[1, 2, 3]), "events 'position' is no column to give"),
    "a column twice": (lambda: pa.table([["a"], ["a"], ["b"], ["{}"]], ["stream_id", "type", "type", "data"]), "events 'type' .* stands twice"),
    "numbers as stream_id": (lambda: table(stream_id=[1, 2, 3]), "stream_id 'int64' is not a string"),
    "bytes as data": (lambda: table(data=[b"{}"] * 3), "data 'binary' is not a string"),
    "a missing stream_id": (lambda: table(stream_id=["a", None, "c"]), "stream_id None is missing in row 1"),
    "a missing type": (lambda: table(type=["a", "b", None]), "type None is missing in row 2"),
    "missing data": (lambda: table(data=[None, "{}", "{}"]), "data None is missing in row 0"),
    "a missing event_id": (lambda: table(event_id=[*ids(2), None]), "event_id None is missing in row 2"),
    "a missing schema_version": (lambda: table(schema_version=[1, None, 1]), "schema_version None is missing in row 1"),
    "a missing tag": (lambda: table(tags=nth(["x", None])), "tags None is missing"),
    "an empty stream_id": (lambda: table(stream_id=["a", "", "a"]), "stream_id '' is empty"),
    "a long stream_id": (lambda: table(stream_id=["a", "ä" * 257, "a"]), "stream_id .* is over 512 bytes"),
    "control characters": (lambda: table(stream_id=["a", "b\n", "a"]), r"stream_id 'b\\n' holds control"),
    "C1 control characters": (lambda: table(stream_id=["a", "b\x85", "a"]), r"stream_id 'b\\x85' holds control"),
    "an empty type": (lambda: table(type=["a", "", "a"]), "type '' is empty"),
    "a long type": (lambda: table(type=["a", "x" * 257, "a"]), "type .* is over 256 bytes"),
    "an empty correlation_id": (lambda: table(correlation_id=nth("")), "correlation_id '' is empty"),
    "a long causation_id": (lambda: table(causation_id=nth("x" * 257)), "causation_id .* is over 256 bytes"),
    "an empty tag": (lambda: table(tags=nth([""])), "tags '' is empty"),
    "a long tag": (lambda: table(tags=nth(["x" * 257])), "tags .* is over 256 bytes"),
    "too many tags": (lambda: table(tags=nth(["x"] * 65)), "tags .* are more than 64"),
    "tags as str": (lambda: table(tags=["x", "y", "z"]), "tags 'string' does not fit list"),
    "an event_id that is none": (lambda: table(event_id=[ids(1)[0], "seven", ids(1)[0]]), "event_id 'seven' is not a UUID"),
    "an event_id twice": (lambda: table(event_id=["00000000-0000-0000-0000-000000000007"] * 3), "event_id '0.*07' stands twice"),
    "schema_version zero": (lambda: table(schema_version=[1, 0, 1]), "schema_version 0 is below 1"),
    "a large schema_version": (lambda: table(schema_version=[1, 2**31, 1]), "schema_version 'int64' does not fit int32"),
    "a time without zone": (lambda: table(occurred_at=pa.array([0] * 3, pa.timestamp("us"))), "occurred_at 'timestamp.*' is not .* with a time zone"),
    "a time as text": (lambda: table(occurred_at=["2013-01-01"] * 3), "occurred_at 'string' is not a timestamp"),
    "a time after 9999": (lambda: table(occurred_at=pa.array([0, 2**62, 0], pa.timestamp("us", "UTC"))), "occurred_at 4.* is outside the years"),
    "a time before 1": (lambda: table(occurred_at=pa.array([0, -(2**36), 0], pa.timestamp("s", "UTC"))), "occurred_at -6.* is outside the years"),
    "data that is no JSON": (lambda: table(data=["{}", "{oops}", "{}"]), "data '{oops}' is not JSON"),
    "data that is no object": (lambda: table(data=["{}", "[1]", "{}"]), r"data '\[1\]' is not a JSON object"),
    "empty data": (lambda: table(data=["{}", "", "{}"]), "data '' is not a JSON object"),
    "NaN": (lambda: table(data=["{}", '{"a": NaN}', "{}"]), "data .*NaN.* is not JSON"),
    "two objects in one row": (lambda: table(data=["{}", "{} {}", "{}"]), "data '{} {}' is not JSON"),
    "two objects on two lines": (lambda: table(data=["{}", "{}\n{}", "{}"]), r"data '{}\\n{}' is not JSON"),
    "an object over two rows": (lambda: table(2, data=['{"a":', "{}} {}"]), "data '{\"a\":' is not JSON"),
    "an object over two rows and lines": (lambda: table(2, data=['{"a":', "{}}\n{}"]), "data '{\"a\":' is not JSON"),
    "an escaped lone surrogate": (lambda: table(data=["{}", '{"a":"\\ud800"}', "{}"]), "data .*ud800.* is not JSON"),
    "bottomless data": (lambda: table(data=["{}", '{"a":' * 9_999 + "1" + "}" * 9_999, "{}"]), "data .* is not JSON"),
    "large data": (lambda: table(data=["{}", '{"a":"' + "x" * (1 << 20) + '"}', "{}"]), "data .* is over the limit of 1,048,576 bytes"),
    "large data and metadata": (
        lambda: table(data=['{"a":"' + "x" * (1 << 19) + '"}'] * 3, metadata=nth('{"a":"' + "x" * (1 << 19) + '"}')),
        "data .* is over the limit of 1,048,576 bytes",
    ),
    "metadata that is no object": (lambda: table(metadata=nth("7")), "metadata '7' is not a JSON object"),
    "a lone surrogate": (lambda: table(1, stream_id=pa.array([b"a\xed\xa0\x80"]).view(pa.string())), "stream_id 'string' does not fit string"),
}


@pytest.mark.parametrize(("given", "message"), REFUSED.values(), ids=REFUSED.keys())
def test_append_table_refuses(store: EventStore, given: Callable[[], Any], message: str) -> None:
    with pytest.raises(InvalidEventError, match=message):
        store.append_table(given())
    assert store.head() == 0


def test_append_table_names_the_column_it_refuses(store: EventStore) -> None:
    with pytest.raises(InvalidEventError) as refused:
        store.append_table(table(type=["T", "", "T"]))
    assert (refused.value.field, refused.value.value) == ("type", "")


def test_append_table_with_ids_repeated_returns_the_first_answer(store: EventStore) -> None:
    given = table(3, stream_id=["a", "b", "a"], event_id=ids(3))
    first = store.append_table(given)
    store.append("a", facts(2))
    assert store.append_table(given) == first
    assert store.head() == 5


def test_append_table_without_ids_is_new_every_time(store: EventStore) -> None:
    given = table(3)
    assert [store.append_table(given), store.append_table(given)] == [(1, 3), (4, 6)]


def test_append_table_repeated_among_many_later_events_is_recognised(store: EventStore) -> None:
    given = table(3, event_id=ids(3))
    store.append_table(given)
    store.append_table(table(5_000))
    assert store.append_table(given) == (1, 3)


def test_append_table_of_which_a_part_is_there_is_an_error(store: EventStore) -> None:
    there = ids(1)
    store.append_table(table(1, event_id=there))
    with pytest.raises(DuplicateEventError) as refused:
        store.append_table(table(3, event_id=[*ids(2), *there]))
    assert (refused.value.stream_id, refused.value.event_id) == ("a", there[0])
    assert store.head() == 1


def test_append_table_of_ids_from_another_stream_is_new(store: EventStore) -> None:
    given = ids(3)
    store.append_table(table(3, event_id=given))
    assert store.append_table(table(3, stream_id=["b"] * 3, event_id=given)) == (4, 6)


def test_append_table_recognises_events_appended_one_by_one(store: EventStore) -> None:
    events = facts(2)
    for event in events:
        store.append("a", [event])
    assert store.append_table(table(2, event_id=[event.event_id for event in events])) == (1, 2)


@pytest.mark.parametrize("expected", [NO_STREAM, ANY])
def test_append_recognises_events_of_a_table(store: EventStore, expected: Any) -> None:
    events = facts(2)
    store.append_table(table(2, event_id=[event.event_id for event in events]))
    assert store.append("a", events, expected) == (1, 2, 1, 2)


def test_append_table_from_many_threads(store: EventStore) -> None:
    answers = at_once(8, lambda number: [store.append_table(table(50, stream_id=["s"] * 50)) for _ in range(5)])
    assert sorted(answer.position for part in answers for answer in part) == list(range(50, 2_001, 50))
    rows = everything(store)
    assert [row["version"] for row in rows] == list(range(1, 2_001))
    assert len({row["event_id"] for row in rows}) == 2_000


def test_append_table_beside_single_events_keeps_every_stream_contiguous(store: EventStore) -> None:
    def append(number: int) -> None:
        for _ in range(10):
            if number % 2:
                store.append("a", [fact(number)])
            else:
                store.append_table(table(4, stream_id=["a", "b", "a", "c"]))

    at_once(4, append)
    assert store.read_stream("a")["version"].to_pylist() == list(range(1, 61))
    assert store.stream_version("b") == 20


def test_append_table_to_a_closed_store_says_so(store: EventStore) -> None:
    store.close()
    with pytest.raises(StoreClosedError):
        store.append_table(table())

"""`read_stream`: one stream by version."""

from __future__ import annotations

import pyarrow as pa
import pytest

from store import EventStore, StoreClosedError
from store.schema import EVENTS
from tests.store.facts import fact, facts


@pytest.fixture
def stream(store: EventStore) -> EventStore:
    """Stream `a` of five events, among others."""
    for number in range(5):
        store.append("ab", [fact(number)])
        store.append("a", [fact(number)])
        store.append("a-1", [fact(number)])
    return store


def versions(events: pa.Table) -> list[int]:
    return events["version"].to_pylist()


def test_read_stream_gives_its_events_alone(stream: EventStore) -> None:
    events = stream.read_stream("a")
    assert set(events["stream_id"].to_pylist()) == {"a"}
    assert events["data"].to_pylist() == [f'{{"number":{number}}}' for number in range(5)]


def test_read_stream_gives_the_columns_of_the_log(stream: EventStore) -> None:
    assert stream.read_stream("a").schema.equals(EVENTS)
    assert stream.read_stream("nobody").schema.equals(EVENTS)


def test_read_stream_knows_each_event_s_position(stream: EventStore) -> None:
    assert stream.read_stream("a")["position"].to_pylist() == [2, 5, 8, 11, 14]


@pytest.mark.parametrize("backward", [False, True])
def test_read_stream_of_an_unknown_stream_is_empty(stream: EventStore, backward: bool) -> None:
    assert len(stream.read_stream("nobody", backward=backward)) == 0


@pytest.mark.parametrize("after", range(8))
@pytest.mark.parametrize("limit", [None, 0, 1, 3, 9])
def test_read_stream_pages_forward(stream: EventStore, after: int, limit: int | None) -> None:
    assert versions(stream.read_stream("a", after, limit)) == list(range(after + 1, 6))[:limit]


@pytest.mark.parametrize("after", range(8))
@pytest.mark.parametrize("limit", [None, 0, 1, 3, 9])
def test_read_stream_pages_backward_down_to_after(stream: EventStore, after: int, limit: int | None) -> None:
    assert versions(stream.read_stream("a", after, limit, backward=True)) == list(range(5, after, -1))[:limit]


def test_read_stream_sees_what_was_just_appended(store: EventStore) -> None:
    for version in range(1, 6):
        store.append("a", facts(1))
        assert versions(store.read_stream("a", version - 1)) == [version]


def test_stream_version_is_the_stream_s_length(stream: EventStore) -> None:
    assert [stream.stream_version(stream_id) for stream_id in ("a", "a-1", "nobody")] == [5, 5, 0]


@pytest.mark.parametrize("stream_id", ["it's", 'a"b', "100%", "a-ü-東京", "a\\b", "..", "a/b", "x" * 512, "NULL", "h=1"])
def test_read_stream_finds_any_id(store: EventStore, stream_id: str) -> None:
    store.append(stream_id, facts(2))
    store.append("a", facts(1))
    assert versions(store.read_stream(stream_id)) == [1, 2]
    assert store.stream_version(stream_id) == 2


def test_read_stream_of_a_closed_store_says_so(store: EventStore) -> None:
    store.close()
    for read in (lambda: store.read_stream("a"), lambda: store.stream_version("a"), store.head, store.read_all):
        with pytest.raises(StoreClosedError):
            read()

"""A stream that has not moved is not read again; of one that has, what is new is read."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa
import pytest

from store import open_store
from store.delta import stream_cache
from store.delta.delta_store import DeltaEventStore
from store.delta.stream_cache import StreamCache
from store.schema import EVENTS
from tests.store.facts import at_once, facts


@pytest.fixture(scope="module")
def stream(tmp_path_factory: pytest.TempPathFactory) -> pa.Table:
    """Two hundred events."""
    with open_store(str(tmp_path_factory.mktemp("log")), create=True) as store:
        store.append("a", facts(200))
        return store.read_stream("a").combine_chunks()


@pytest.fixture
def store(tmp_path: Path) -> Iterator[DeltaEventStore]:
    with open_store(str(tmp_path), create=True) as store:
        yield store


def versions(events: pa.Table) -> list[int]:
    return list(events["version"].to_pylist())


def test_unknown_stream_is_empty() -> None:
    assert StreamCache().get("a", 0).equals(EVENTS.empty_table())


def test_what_follows_is_added(stream: pa.Table) -> None:
    cache = StreamCache()
    cache.add("a", stream.slice(0, 3))
    assert versions(cache.add("a", stream.slice(3, 2))) == versions(cache.get("a", 0)) == [1, 2, 3, 4, 5]


def test_what_another_added_meanwhile_is_not_doubled(stream: pa.Table) -> None:
    cache = StreamCache()
    cache.add("a", stream.slice(0, 5))
    assert versions(cache.add("a", stream.slice(2, 5))) == list(range(1, 8))


def test_the_end_of_a_stream_serves_whoever_asks_for_no_more(stream: pa.Table) -> None:
    cache = StreamCache()
    cache.add("a", stream.slice(50, 10))
    assert versions(cache.get("a", 50)) == versions(cache.get("a", 55)) == list(range(51, 61))
    assert len(cache.get("a", 49)) == 0
    assert versions(cache.add("a", stream.slice(60, 2))) == list(range(51, 63))


def test_what_does_not_follow_takes_the_place_of_what_is_there(stream: pa.Table) -> None:
    cache = StreamCache()
    cache.add("a", stream.slice(50, 10))
    assert versions(cache.add("a", stream.slice(0, 60))) == list(range(1, 61))
    assert versions(cache.add("a", stream.slice(70, 1))) == [71]


def test_many_pieces_become_one(stream: pa.Table) -> None:
    cache = StreamCache()
    for place in range(200):
        cache.add("a", stream.slice(place, 1))
    assert versions(cache.get("a", 0)) == list(range(1, 201))
    assert cache.get("a", 0).column(0).num_chunks <= stream_cache.CHUNKS


def test_streams_asked_for_last_stay(stream: pa.Table, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stream_cache, "CACHED_BYTES", 3 * stream.nbytes)
    cache = StreamCache()
    for name in "abc":
        cache.add(name, stream)
    cache.get("a", 0)
    cache.add("d", stream)
    assert [len(cache.get(name, 0)) > 0 for name in "abcd"] == [True, False, True, True]


def test_stream_too_large_for_the_cache_is_given_and_let_go(stream: pa.Table, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stream_cache, "CACHED_BYTES", 100)
    cache = StreamCache()
    assert len(cache.add("a", stream)) == 200
    assert len(cache.get("a", 0)) == 0


def test_read_after_anybody_s_append_is_fresh(store: DeltaEventStore, tmp_path: Path) -> None:
    with open_store(str(tmp_path)) as other:
        store.append("a", facts(2))
        assert len(store.read_stream("a")) == len(store.read_stream("a")) == 2
        other.append("a", facts(1))
        assert versions(store.read_stream("a")) == [1, 2, 3]
        store.append("a", facts(1))
        assert versions(store.read_stream("a", after=3)) == [4]
        assert versions(store.read_stream("a", after=1, limit=2)) == [2, 3]
        assert versions(store.read_stream("a", backward=True)) == [4, 3, 2, 1]


def test_readers_beside_writers_see_each_version_once(store: DeltaEventStore) -> None:
    def work(number: int) -> None:
        for _ in range(30):
            if number % 2:
                store.append("a", facts(1))
            read = versions(store.read_stream("a"))
            assert read == list(range(1, len(read) + 1))

    at_once(6, work)
    assert versions(store.read_stream("a")) == list(range(1, 91))

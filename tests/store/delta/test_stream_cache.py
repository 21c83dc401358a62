"""A stream that has not moved is not read again; one that has is."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pytest

from store import open_store
from store.delta import stream_cache
from store.delta.stream_cache import StreamCache
from tests.store.facts import facts


def stream(rows: int) -> pa.Table:
    return pa.table({"version": list(range(1, rows + 1))})


def test_stream_of_another_version_is_not_given() -> None:
    cache = StreamCache()
    cache.put("a", stream(3))
    assert cache.get("a", 3) is not None
    assert cache.get("a", 4) is None
    assert cache.get("b", 3) is None


def test_streams_asked_for_last_stay(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stream_cache, "CACHED_BYTES", 3 * stream(10).nbytes)
    cache = StreamCache()
    for name in "abc":
        cache.put(name, stream(10))
    cache.get("a", 10)
    cache.put("d", stream(10))
    assert [cache.get(name, 10) is not None for name in "abcd"] == [True, False, True, True]


def test_stream_too_large_for_the_cache_is_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stream_cache, "CACHED_BYTES", 100)
    cache = StreamCache()
    cache.put("a", stream(1_000))
    assert cache.get("a", 1_000) is None


def test_read_after_anybody_s_append_is_fresh(tmp_path: Path) -> None:
    with open_store(str(tmp_path), create=True) as store, open_store(str(tmp_path)) as other:
        store.append("a", facts(2))
        assert len(store.read_stream("a")) == len(store.read_stream("a")) == 2
        other.append("a", facts(1))
        assert store.read_stream("a")["version"].to_pylist() == [1, 2, 3]
        store.append("a", facts(1))
        assert store.read_stream("a", after=3)["version"].to_pylist() == [4]
        assert store.read_stream("a", after=1, limit=2)["version"].to_pylist() == [2, 3]
        assert store.read_stream("a", backward=True)["version"].to_pylist() == [4, 3, 2, 1]

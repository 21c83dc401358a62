"""What was said of streams is folded once, and saved: a log is opened as quickly whatever was ever said, and as well without what was saved."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from store import Rule, StreamEndedError, open_store
from store.delta import saved_policy
from store.delta.delta_store import DeltaEventStore
from store.delta.reads import Reads
from store.storage.local_objects import LocalObjects
from tests.store.facts import facts

SAID: dict[str, Any] = {"by": "ada", "why": "asked for"}


@pytest.fixture
def warehouse(tmp_path: Path) -> Path:
    with open_store(tmp_path, create=True) as store:
        for stream_id in ("a-1", "a-2", "a-3", "b-1", "c"):
            store.append(stream_id, facts(5))
        store.retention.truncate("a-1", 3, **SAID)
        for _ in range(2):
            store.retention.delete("a-2", **SAID)
            store.append("a-2", facts(1))
        store.retention.tombstone("a-3", **SAID)
        store.retention.close("c", **SAID)
        store.retention.keep("b-1", max_count=2, **SAID)
        store.retention.keep("c", max_age=timedelta(days=9), **SAID)
        store.retention.keep("b", max_count=4, max_age=timedelta(microseconds=7), **SAID)
        assert isinstance(store, DeltaEventStore)
        store.checkpoint()
    return tmp_path


def read_from(warehouse: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[Any, list[int]]:
    """The policy as a store just opened knows it, and from which version of `$retention` on it was read."""
    versions: list[int] = []
    read = Reads.rules

    def told(self: Reads, version: int, position: int) -> Any:
        versions.append(version)
        return read(self, version, position)

    monkeypatch.setattr(Reads, "rules", told)
    with open_store(warehouse) as store:
        assert isinstance(store, DeltaEventStore)
        policy = store.standings.policy()
        assert store.append("a-2", facts(1)).version == 8
        with pytest.raises(StreamEndedError):
            store.append("a-3", facts(1))
    return policy, versions


def told(policy: Any) -> Any:
    return dict(policy.streams.whole()), dict(policy.categories), policy.ruled


def test_what_was_saved_is_not_read_again(warehouse: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with open_store(warehouse) as store:
        store.retention.truncate("b-1", 2, **SAID)
        assert isinstance(store, DeltaEventStore)
        known = store.standings.policy()
    policy, versions = read_from(warehouse, monkeypatch)
    assert versions == [8]
    assert told(policy) == told(known)
    assert policy.rules() == {"b": Rule(timedelta(microseconds=7), 4), "b-1": Rule(max_count=2), "c": Rule(timedelta(days=9))}


DAMAGES: dict[str, Callable[[bytes], bytes | None]] = {
    "absent": lambda body: None,
    "torn": lambda body: body[: len(body) // 2],
    "a flipped bit": lambda body: body[:-40] + bytes([body[-40] ^ 1]) + body[-39:],
    "empty": lambda body: b"",
    "of a newer form": lambda body: body.replace(b"form 1", b"form 2", 1),
}


@pytest.mark.parametrize("damage", DAMAGES.values(), ids=DAMAGES)
def test_a_damaged_one_counts_as_missing(warehouse: Path, monkeypatch: pytest.MonkeyPatch, damage: Callable[[bytes], bytes | None]) -> None:
    path = warehouse / "events" / saved_policy.PATH
    with open_store(warehouse) as store:
        assert isinstance(store, DeltaEventStore)
        known = store.standings.policy()
    body = damage(path.read_bytes())
    path.unlink()
    if body is not None:
        path.write_bytes(body)
    policy, versions = read_from(warehouse, monkeypatch)
    assert versions == [0]
    assert told(policy) == told(known)


def test_one_that_has_come_further_than_the_log_counts_as_missing(warehouse: Path) -> None:
    with open_store(warehouse) as store:
        assert isinstance(store, DeltaEventStore)
        assert saved_policy.read(store._objects, store.head()) is not None
        assert saved_policy.read(store._objects, 3) is None


def test_where_nothing_was_ever_said_nothing_is_looked_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with open_store(tmp_path, create=True) as store:
        store.append("a-1", facts(3))
        assert isinstance(store, DeltaEventStore)
        store.checkpoint()
    asked: list[str] = []
    get = LocalObjects.get
    monkeypatch.setattr(LocalObjects, "get", lambda self, path: asked.append(path) or get(self, path))
    with open_store(tmp_path) as store:
        store.append("a-1", facts(1))
    assert asked
    assert saved_policy.PATH not in asked
    assert not (tmp_path / "events" / saved_policy.PATH).exists()


def test_it_is_saved_again_once_more_was_said(warehouse: Path) -> None:
    path = warehouse / "events" / saved_policy.PATH
    with open_store(warehouse) as store:
        assert isinstance(store, DeltaEventStore)
        before = path.read_bytes()
        store.checkpoint()
        assert path.read_bytes() == before
        store.retention.tombstone("b-1", **SAID)
        store.append("a-1", facts(1))
        store.checkpoint()
        saved = saved_policy.read(store._objects, store.head())
        assert saved is not None
        assert saved.policy.streams["b-1"].tombstoned

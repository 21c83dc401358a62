"""What all streams hide at once is what each of them hides, and costs no more than it must."""

from __future__ import annotations

import re
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from store import Event, EventStore, MemoryEventStore, open_store
from store.delta import part
from store.delta.delta_store import DeltaEventStore
from store.delta.heads import Heads
from tests.store.facts import facts

SAID: dict[str, Any] = {"by": "ada", "why": "asked for"}
STREAMS = [f"{category}-{number}" for category in "abc" for number in range(6)]


def assert_true(store: EventStore) -> None:
    table = store.retention.hidden()
    assert table is not None
    each = {stream_id: hidden for stream_id in STREAMS if (hidden := store.retention.of(stream_id).hidden)}
    assert dict(zip(*(column.to_pylist() for column in table.itercolumns()), strict=True)) == each


@pytest.mark.parametrize("kind", ["memory", "delta"])
def test_it_is_what_each_stream_hides(kind: str, tmp_path: Path) -> None:
    """Of each state twice: what is remembered is as true as what was found."""
    store: EventStore = MemoryEventStore() if kind == "memory" else open_store(tmp_path, create=True)
    assert store.retention.hidden() is None
    for stream_id in STREAMS:
        store.append(stream_id, facts(5))
    says = [
        lambda: store.retention.truncate("a-0", 3, **SAID),
        lambda: store.retention.delete("a-1", **SAID),
        lambda: store.append("a-1", facts(2)),
        lambda: store.retention.tombstone("a-2", **SAID),
        lambda: store.retention.keep("b-0", max_count=2, **SAID),
        lambda: store.append("b-0", facts(1)),
        lambda: store.retention.keep("b", max_count=4, **SAID),
        lambda: store.retention.delete("b-1", **SAID),
        lambda: store.retention.truncate("b-2", 5, **SAID),
        lambda: store.append("b-3", facts(1)),
        lambda: store.retention.keep("b-4", **SAID),
        lambda: store.retention.keep("a-3", max_age=timedelta(microseconds=1), **SAID),
        lambda: store.append("c-1", facts(1)),
        lambda: store.retention.keep("c", max_age=timedelta(microseconds=1), **SAID),
        lambda: store.retention.keep("c-1", max_count=1, max_age=timedelta(days=9), **SAID),
        lambda: store.retention.close("c-2", **SAID),
        lambda: store.retention.keep("c", **SAID),
        lambda: store.retention.keep("a-3", **SAID),
    ]
    for say in says:
        say()
        assert_true(store)
        assert_true(store)
    store.close()


@pytest.mark.parametrize("name", ["a", "a-1"])
def test_what_grows_old_is_hidden_though_nothing_is_appended(name: str) -> None:
    now = 1_700_000_000_000_000
    with MemoryEventStore(clock=lambda: now) as store:
        store.append("a-1", facts(1))
        store.retention.keep(name, max_age=timedelta(seconds=60), **SAID)
        assert_true(store)
        now += 60_000_000
        assert store.retention.of("a-1").hidden == 1
        assert_true(store)


def test_nobody_asks_stream_by_stream(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with open_store(tmp_path, create=True) as store:
        for stream_id in STREAMS:
            store.append(stream_id, facts(3))
            store.retention.delete(stream_id, **SAID)
        asked: list[object] = []
        monkeypatch.setattr(Heads, "version", lambda self, stream_id: asked.append(stream_id) or 3)
        found = store.retention.hidden()
        assert found is not None
        assert (len(found), asked) == (len(STREAMS), [])
        assert store.retention.hidden() is found


def test_what_a_stream_hides_keeps_queries_of_another_from_no_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(part, "ROW_GROUP_ROWS", 8)
    with open_store(tmp_path, create=True) as store:
        assert isinstance(store, DeltaEventStore)
        for stream_id in STREAMS:
            store.append(stream_id, [Event("Happened", {"number": number}) for number in range(8)])
        store.compact()
        before = _scanned(store)
        store.retention.delete("b-3", **SAID)
        store.compact()
        assert _scanned(store) <= before + 1       # that which says it


def _scanned(store: EventStore) -> int:
    """Row groups read for one stream."""
    (told,) = store.sql("explain analyze select * from stream('c-2')").fetchall()
    return sum(int(number) for number in re.findall(r"Row Groups Scanned: (\d+)", told[1]))

"""The numbers of the layout made small, so that a few hundred events have runs, sections, leaves and row groups of every kind."""

from __future__ import annotations

from collections.abc import Iterable

import pyarrow as pa
import pytest

from store.delta import compaction, part, segment, upkeep
from store.delta.delta_store import DeltaEventStore
from store.observer import Compacted

RUN_ROWS = 64
JOINED_ROWS = 4 * RUN_ROWS


@pytest.fixture
def small_layout(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(segment, "RUN_ROWS", RUN_ROWS)
    monkeypatch.setattr(segment, "SECTION_ROWS", 16)
    monkeypatch.setattr(segment, "LEAF_ROWS", 4)
    monkeypatch.setattr(part, "ROW_GROUP_ROWS", 4)
    monkeypatch.setattr(compaction, "DUE_RUNS", 16)
    monkeypatch.setattr(compaction, "JOINED_RUNS", JOINED_ROWS // RUN_ROWS)
    monkeypatch.setattr(upkeep, "LOOK_EVERY", 1 << 30)       # the tests say when


def fill(store: DeltaEventStore, sizes: Iterable[int]) -> None:
    """One commit of each size. Five streams take turns, so each goes through every section."""
    for size in sizes:
        numbers = range(store.head(), store.head() + size)
        streams, tags = [f"s-{number % 5}" for number in numbers], [[f"t{number % 3}"] for number in numbers]
        store.append_table(pa.table({"stream_id": streams, "type": ["Happened"] * size, "data": ["{}"] * size, "tags": tags}))


def merge_due(store: DeltaEventStore) -> list[Compacted]:
    """What a writer's own upkeep would merge now."""
    merged = []
    while chosen := compaction.due(store._log.segments()):
        done = compaction.merge(store._objects, store._log, store._files, chosen)
        assert done is not None
        merged.append(done)
    return merged

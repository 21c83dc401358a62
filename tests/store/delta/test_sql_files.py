"""A query opens only the files that can hold what it asks for: counted, not timed."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from store import Event, open_store
from store.delta.delta_store import DeltaEventStore
from tests.store.facts import table

STREAMS = 64


@pytest.fixture
def store(tmp_path: Path) -> Iterator[DeltaEventStore]:
    """A bulk append spread over leaves, and forty files landed one by one."""
    with open_store(tmp_path, create=True) as store:
        rows = 900_000
        store.append_table(table(rows, stream_id=[f"s-{number % STREAMS}" for number in range(rows)]))
        for number in range(40):
            store.append(f"late-{number}", [Event("Came", {})])
        yield store


def files_read(store: DeltaEventStore, query: str, **given: int) -> int:
    plan = store.sql(f"explain analyze select count(*) from {query}", **given).fetchall()[0][1]
    return sum(map(int, re.findall(r"Total Files Read: (\d+)", plan)))


def test_one_stream_opens_its_leaf_and_what_has_just_landed(store: DeltaEventStore) -> None:
    everything = files_read(store, "events")
    assert everything == store.size().files == 56
    assert files_read(store, "stream('s-7')") == files_read(store, "history('s-7')") == 41


def test_a_stretch_opens_the_files_that_its_positions_lie_in(store: DeltaEventStore) -> None:
    assert files_read(store, "replay(900005, 900008)") == 3
    assert files_read(store, "replay(10, 20)") == 16


def test_the_past_opens_nothing_that_came_later(store: DeltaEventStore) -> None:
    assert files_read(store, "events", as_of=900_000) == 16
    assert files_read(store, "events", as_of=900_002) == 18

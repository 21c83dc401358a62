"""A query opens only the files that can hold what it asks for: counted, not timed."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import duckdb
import pytest

from store import Event, live_log, open_store
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


def test_views_that_follow_the_log_open_as_little(store: DeltaEventStore, tmp_path: Path) -> None:
    """Beside the commits since the last checkpoint, which they read each time."""
    with duckdb.connect() as others:
        for statement in live_log(str(tmp_path)).statements:
            others.execute(statement)

        def opened(query: str) -> int:
            plan = json.loads(others.execute(f"explain (analyze, format json) select count(*) from {query}").fetchall()[0][1])
            return sum(int(scan["Total Files Read"]) for scan in _scans(plan) if "/shard=" in scan["Filename(s)"])

        assert opened("events") == store.size().files == 56
        assert opened("stream('s-7')") == opened("history('s-7')") == 41
        assert opened("replay(900005, 900008)") == 3
        assert opened("replay(10, 20)") == 16


def _scans(plan: Any) -> Iterator[dict[str, str]]:
    """What is told of each scan of Parquet files in a plan."""
    for operator in [*plan.get("operator", []), *plan.get("children", [])]:
        if "Total Files Read" in operator["extra_info"] and ".parquet" in operator["extra_info"]["Filename(s)"]:
            yield operator["extra_info"]
        yield from _scans(operator)

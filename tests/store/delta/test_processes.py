"""Several processes on one log, with compaction under way and with SIGKILL at random moments: the laws hold."""

from __future__ import annotations

import json
import random
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import polars as pl
import pyarrow as pa
import pytest
from deltalake import DeltaTable

from store import open_store
from store.schema import EVENTS
from tests.store.delta.writer import BATCH, batch, stream_of

WRITER = Path(__file__).with_name("writer.py")
Acks = dict[tuple[int, int], tuple[int, int, int, int]]
"""(writer, number of the append) -> what it was answered."""


@pytest.fixture
def warehouse(tmp_path: Path) -> str:
    open_store(str(tmp_path), create=True).close()
    return str(tmp_path)


def start(warehouse: str, writer: int, appends: int) -> subprocess.Popen[str]:
    root = Path(__file__).parents[3]
    command = [sys.executable, str(WRITER), warehouse, str(writer), str(appends)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env={"PYTHONPATH": str(root)}, cwd=root)


@contextmanager
def compactor(warehouse: str) -> Iterator[None]:
    process = start(warehouse, -1, -1)
    yield
    (Path(warehouse) / "stop").touch()
    assert process.wait() == 0


def acked(writer: int, lines: str) -> Acks:
    told = (json.loads(line) for line in lines.splitlines() if line.endswith("]"))
    return {(writer, number): (first_version, version, first, last) for number, first_version, version, first, last in told}


def rows_of(warehouse: str) -> pa.Table:
    with open_store(warehouse) as store:
        return store.read_all().read_all()


def check_laws(rows: pa.Table, acks: Acks) -> None:
    """Positions 1..head, versions 1..n, every acknowledged event once and in its place, every append whole."""
    assert rows["position"].to_pylist() == list(range(1, len(rows) + 1))
    seen: Counter[str] = Counter()
    for stream_id, version in zip(rows["stream_id"].to_pylist(), rows["version"].to_pylist(), strict=True):
        seen[stream_id] += 1
        assert version == seen[stream_id]
    places = {row["event_id"]: row for row in rows.select(["event_id", "stream_id", "version", "position"]).to_pylist()}
    assert len(places) == len(rows)
    for (writer, number), (first_version, _, first, _) in acks.items():
        for offset, event in enumerate(batch(writer, number)):
            place = places[str(event.event_id)]
            assert (place["stream_id"], place["version"], place["position"]) == (stream_of(writer, number), first_version + offset, first + offset)
    appends = Counter(rows["data"].to_pylist())
    assert set(appends.values()) <= {BATCH}


def check_other_readers(warehouse: str, rows: pa.Table) -> None:
    place = f"{warehouse}/events"
    expected = rows.to_pylist()
    files = pa.fs.SubTreeFileSystem(place, pa.fs.LocalFileSystem())
    assert DeltaTable(place).to_pyarrow_table(filesystem=files).select(EVENTS.names).sort_by("position").to_pylist() == expected
    assert pl.read_delta(place).select(EVENTS.names).sort("position").to_dicts() == expected


def test_four_writers_and_a_compactor_keep_the_laws(warehouse: str) -> None:
    with compactor(warehouse):
        writers = [start(warehouse, number, 60) for number in range(4)]
        acks: Acks = {}
        for number, process in enumerate(writers):
            acks |= acked(number, process.communicate()[0])
            assert process.returncode == 0
    rows = rows_of(warehouse)
    assert len(acks) == 4 * 60
    assert len(rows) == 4 * 60 * BATCH
    check_laws(rows, acks)
    check_other_readers(warehouse, rows)


@pytest.mark.parametrize("seed", range(3))
def test_sigkill_at_any_moment_loses_nothing_acknowledged(warehouse: str, seed: int) -> None:
    chance, acks = random.Random(seed), Acks()
    with compactor(warehouse):
        for round in range(3):
            writers = [start(warehouse, 10 * round + number, 1_000) for number in range(3)]
            for number, process in enumerate(writers):
                assert process.stdout is not None
                lines = "".join(process.stdout.readline() for _ in range(chance.randrange(1, 25)))
                process.kill()
                acks |= acked(10 * round + number, lines + process.communicate()[0])
    rows = rows_of(warehouse)
    check_laws(rows, acks)
    check_other_readers(warehouse, rows)


def test_append_cut_off_by_sigkill_is_safe_to_repeat(warehouse: str) -> None:
    """Whether it had landed or not, after the repeat its events are there once."""
    process = start(warehouse, 1, 1_000)
    assert process.stdout is not None
    lines = "".join(process.stdout.readline() for _ in range(17))
    process.kill()
    acks = acked(1, lines + process.communicate()[0])
    cut_off = max(number for _, number in acks) + 1
    with open_store(warehouse) as store:
        stream_id = stream_of(1, cut_off)
        expected = sum(BATCH for number in range(cut_off) if stream_of(1, number) == stream_id)
        done = store.append(stream_id, batch(1, cut_off), expected)
    rows = rows_of(warehouse)
    check_laws(rows, {**acks, (1, cut_off): tuple(done)})
    assert len(rows) == (cut_off + 1) * BATCH


def test_large_append_beside_busy_writers_is_not_starved(warehouse: str) -> None:
    """It commits while the others are still at it, after a bounded number of their commits."""
    writers = [start(warehouse, number, 100_000) for number in range(4)]
    for process in writers:
        assert process.stdout is not None
        process.stdout.readline()
    rows = 200_000
    with open_store(warehouse) as store:
        before = store.head()
        done = store.append_table(pa.table({"stream_id": [f"b-{n % 999}" for n in range(rows)], "type": ["T"] * rows, "data": ["{}"] * rows}))
        assert all(process.poll() is None for process in writers)
        assert done.first_position - before < 2_000 * BATCH
    for process in writers:
        process.kill()
        process.communicate()
    check = rows_of(warehouse)
    assert check["position"].to_pylist() == list(range(1, len(check) + 1))

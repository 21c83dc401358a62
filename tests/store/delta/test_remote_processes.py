"""Several processes on one log in an object store, some of them killed: laws 1 to 5 and 10, as on a disk."""

from __future__ import annotations

import random
import tempfile
from contextlib import ExitStack
from pathlib import Path

import deltalake
import polars as pl
import pyarrow as pa
import pytest

from store import open_store
from store.schema import EVENTS
from tests.store.delta.test_processes import Ack, Process, assert_dense, assert_kept, ids, killed, repeated, started, told
from tests.store.facts import everything, table


@pytest.fixture
def warehouse(s3_warehouse: str) -> str:
    open_store(s3_warehouse, create=True).close()
    return s3_warehouse


def test_writers_of_the_same_streams_lose_nothing_beside_a_compactor(
    warehouse: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each as on a machine of its own: without the turns that a temporary directory gives them, puts alone decide."""

    def elsewhere(work: str, *arguments: object) -> Process:
        monkeypatch.setenv("TMPDIR", tempfile.mkdtemp(dir=tmp_path))
        return started(work, *arguments)

    stop = tmp_path / "stop"
    with ExitStack() as running:
        compactor = running.enter_context(elsewhere("compact", warehouse, stop))
        running.callback(stop.touch)               # whatever fails, it ends
        writers = [running.enter_context(elsewhere("contend", warehouse, seed, 15)) for seed in range(3)]
        acks = [ack for writer in writers for ack in told(writer)]
        stop.touch()
        assert told(compactor)[0]["merged"] > 0
    with open_store(warehouse) as store:
        rows = everything(store)
        options = dict(store._objects.storage_options())
    assert len(acks) == 45
    assert_dense(rows)
    assert_kept(rows, acks)
    assert len(rows) == 3 * len(acks)
    scanned = deltalake.DeltaTable(f"{warehouse}/events", storage_options=options).scan()
    read = pl.from_arrow(pa.RecordBatchReader.from_stream(scanned).read_all())  # which lets the server of this very process run
    assert isinstance(read, pl.DataFrame)
    assert read.select(EVENTS.names).sort("position").to_dicts() == rows


def test_killed_writers_lose_nothing_acknowledged_and_leave_no_half(warehouse: str) -> None:
    """Two rounds of three writers of two threads on one log; each is killed after a number of its acks."""
    luck = random.Random(7)
    acks: list[Ack] = []
    for round in range(2):
        seeds = [[100 * round + 10 * writer + thread for thread in range(2)] for writer in range(3)]
        acks += [ack for part in killed(warehouse, seeds, luck) for ack in part]
        with open_store(warehouse) as store:
            rows = everything(store)
            assert_dense(rows)
            assert_kept(rows, acks)
            there = {row["event_id"] for row in rows}
            for seed in [seed for part in seeds for seed in part]:
                number = sum(ack["seed"] == seed for ack in acks)
                assert [event_id in there for event_id in ids(seed, number)] in ([True] * 3, [False] * 3)
                assert not there & set(ids(seed, number + 1))
                repeated(store, seed, number, there)
            repeat = luck.choice(acks)
            assert repeated(store, repeat["seed"], repeat["number"], there) == repeat["answer"]
            assert_dense(everything(store))


def test_large_append_is_not_starved_by_small_ones(warehouse: str, tmp_path: Path) -> None:
    """Counted in the others' commits, not in time: each of them is one position."""
    stop = tmp_path / "stop"
    with ExitStack() as running:
        writers = [running.enter_context(started("busy", warehouse, seed, stop)) for seed in range(2)]
        running.callback(stop.touch)               # whatever fails, they end
        for writer in writers:
            assert writer.stdout is not None
            writer.stdout.readline()
        store = running.enter_context(open_store(warehouse))
        before = store.head()
        answer = store.append_table(table(20_000, stream_id=[f"bulk-{number % 1_000}" for number in range(20_000)]))
        stop.touch()
        for writer in writers:
            told(writer)
        assert answer.position - answer.first_position == 19_999
        assert answer.first_position - before < 500
        assert store.read_all(after=answer.first_position - 1, until=answer.position, categories=["own"]).read_all().num_rows == 0

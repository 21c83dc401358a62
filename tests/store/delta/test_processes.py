"""Several processes on one log, some of them killed: laws 1 to 5 and 10."""

from __future__ import annotations

import random
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import duckdb
import orjson
import polars as pl
import pyarrow as pa
import pytest
from deltalake import DeltaTable

import store
from store import open_store
from store.schema import EVENTS
from tests.store.delta.writer import batch, place
from tests.store.facts import everything, table

HOUSE = Path(store.__file__).parents[1]

Ack = dict[str, Any]
Process = subprocess.Popen[bytes]


def started(work: str, *arguments: object) -> Process:
    command = [sys.executable, "-m", "tests.store.delta.writer", work, *map(str, arguments)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, cwd=HOUSE)


def told(process: Process) -> list[Ack]:
    """All that it still has to say; it must end well."""
    output, _ = process.communicate()
    assert process.returncode == 0
    return [orjson.loads(line) for line in output.splitlines()]


def ids(seed: int, number: int) -> list[str]:
    return [str(event.event_id) for event in batch(seed, number)]


def assert_dense(rows: list[dict[str, Any]]) -> None:
    """Law 1, and no event twice."""
    assert [row["position"] for row in rows] == list(range(1, len(rows) + 1))
    versions: Counter[str] = Counter()
    for row in rows:
        versions[row["stream_id"]] += 1
        assert row["version"] == versions[row["stream_id"]]
    assert len({row["event_id"] for row in rows}) == len(rows)


def assert_kept(rows: list[dict[str, Any]], acks: list[Ack]) -> None:
    """Law 4: every acknowledged event is where its writer was told."""
    for ack in acks:
        first_version, version, first_position, position = ack["answer"]
        there = [(row["event_id"], row["stream_id"], row["version"]) for row in rows[first_position - 1 : position]]
        versions = range(first_version, version + 1)
        assert there == [(i, ack["stream_id"], v) for i, v in zip(ids(ack["seed"], ack["number"]), versions, strict=True)]


@pytest.fixture
def warehouse(tmp_path: Path) -> str:
    open_store(str(tmp_path / "warehouse"), create=True).close()
    return str(tmp_path / "warehouse")


# Four writers on the same streams, and a compactor ------------------------------------------------------------


@pytest.fixture(scope="module")
def contended(tmp_path_factory: pytest.TempPathFactory) -> str:
    warehouse = str(tmp_path_factory.mktemp("contended"))
    open_store(warehouse, create=True).close()
    return warehouse


@pytest.fixture(scope="module")
def acks(contended: str) -> list[Ack]:
    stop = Path(contended) / "stop"
    with ExitStack() as running:
        compactor = running.enter_context(started("compact", contended, stop))
        running.callback(stop.touch)               # whatever fails, it ends
        writers = [running.enter_context(started("contend", contended, seed, 40)) for seed in range(4)]
        acks = [ack for writer in writers for ack in told(writer)]
        stop.touch()
        assert told(compactor)[0]["merged"] > 0
    return acks


@pytest.fixture(scope="module")
def rows(contended: str, acks: list[Ack]) -> list[dict[str, Any]]:
    with open_store(contended) as store:
        return everything(store)


def test_writers_of_the_same_streams_keep_the_order_dense(rows: list[dict[str, Any]]) -> None:
    assert_dense(rows)


def test_writers_of_the_same_streams_lose_nothing(rows: list[dict[str, Any]], acks: list[Ack]) -> None:
    assert len(acks) == 160
    assert_kept(rows, acks)
    assert len(rows) == 3 * len(acks)


def test_deltalake_reads_what_the_store_reads(contended: str, rows: list[dict[str, Any]]) -> None:
    files = pa.fs.SubTreeFileSystem(f"{contended}/events", pa.fs.LocalFileSystem())
    read = DeltaTable(f"{contended}/events").to_pyarrow_table(filesystem=files)
    assert read.select(EVENTS.names).sort_by("position").to_pylist() == rows


def test_duckdb_reads_what_the_store_reads(contended: str, rows: list[dict[str, Any]]) -> None:
    with duckdb.connect() as connection:
        connection.execute("set TimeZone = 'UTC'")
        query = f"select {', '.join(EVENTS.names)} from read_parquet(?) order by position"
        read = connection.sql(query, params=[DeltaTable(f"{contended}/events").file_uris()]).to_arrow_table()
    assert read.to_pylist() == rows


def test_polars_reads_what_the_store_reads(contended: str, rows: list[dict[str, Any]]) -> None:
    assert pl.scan_delta(f"{contended}/events").select(EVENTS.names).sort("position").collect().to_dicts() == rows


# Kills ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("chance", range(3))
def test_killed_writers_lose_nothing_acknowledged_and_leave_no_half(warehouse: str, chance: int) -> None:
    """Three rounds of three writers of three threads on one log; each is killed after a number of its acks."""
    luck = random.Random(chance)
    acks: list[Ack] = []
    for round in range(3):
        seeds = [[100 * round + 10 * writer + thread for thread in range(3)] for writer in range(3)]
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


def killed(warehouse: str, seeds: list[list[int]], luck: random.Random) -> Iterator[list[Ack]]:
    """What each writer had acknowledged."""
    with ExitStack() as running:
        writers = [running.enter_context(started("endless", warehouse, *part)) for part in seeds]
        for writer in writers:
            assert writer.stdout is not None
            lines = [writer.stdout.readline() for _ in range(luck.randint(1, 40))]
            writer.kill()
            lines += writer.stdout.readlines()
            yield [orjson.loads(line) for line in lines]


def repeated(store: Any, seed: int, number: int, there: set[str]) -> list[int]:
    """The answer to the same append again, which writes only what is not there."""
    head = store.head()
    stream_id, expected = place(seed, number)
    answer = store.append(stream_id, batch(seed, number), expected)
    assert store.head() == head + (0 if set(ids(seed, number)) <= there else 3)
    return list(answer)


# Neighbours -----------------------------------------------------------------------------------------------------


def test_writers_of_different_streams_never_conflict(warehouse: str) -> None:
    with ExitStack() as running:
        writers = [running.enter_context(started("alone", warehouse, seed, 60)) for seed in range(2)]
        acks = [ack for writer in writers for ack in told(writer)]
    with open_store(warehouse) as store:
        rows = everything(store)
    assert len(acks) == 120
    assert_dense(rows)
    assert_kept(rows, acks)


def test_large_append_is_not_starved_by_small_ones(warehouse: str, tmp_path: Path) -> None:
    """Counted in the others' commits, not in time: each of them is one position. They go on until it is through, so one starved never ends;
    so many pass meanwhile because it takes a busy machine seconds to get its rows ready.
    """
    stop = tmp_path / "stop"
    with ExitStack() as running:
        writers = [running.enter_context(started("busy", warehouse, seed, stop)) for seed in range(4)]
        running.callback(stop.touch)               # whatever fails, they end
        for writer in writers:
            assert writer.stdout is not None
            writer.stdout.readline()
        store = running.enter_context(open_store(warehouse))
        rows = table(200_000, stream_id=[f"bulk-{number % 1_000}" for number in range(200_000)])
        before = store.head()
        answer = store.append_table(rows)
        stop.touch()
        for writer in writers:
            told(writer)
        assert answer.position - answer.first_position == 199_999
        assert answer.first_position - before < 10_000
        assert store.read_all(after=answer.first_position - 1, until=answer.position, categories=["own"]).read_all().num_rows == 0

"""What grows with the size of a log, on tables of any size without events: the unit costs that docs/scale.md stands on. CPU time, not wall time."""

from __future__ import annotations

import os
import time
import uuid
from collections.abc import Callable, Generator
from pathlib import Path
from typing import Final, NamedTuple
from unittest.mock import patch

import orjson
import polars as pl

from store import open_store
from store.bulk import bulk
from store.delta import checkpoint, compaction, head_runs, reader
from store.delta.actions import Retired, Segment
from store.delta.checkpoint import State
from store.delta.head_runs import HeadRun
from store.delta.log import Log, Nobody
from store.delta.part import ROW_GROUP_ROWS, encoded
from store.delta.placing import place_table
from store.delta.segment import RUN_ROWS
from store.delta.table import Table
from store.delta.upkeep import KEPT_FILES
from store.log_view import nothing_hidden, view_files
from store.selection import Selection
from store.shard import FANOUT
from store.sql import SqlSession
from store.storage.local_objects import LocalObjects
from store.tables.publishing import log_path
from tests.bench.children import alone
from tests.bench.memory import peak_mb, resident_mb
from tests.bench.run import Run, ms
from tests.bench.workload import history

JOINED_ROWS: Final = RUN_ROWS * compaction.JOINED_RUNS
_TIMES: Final = dict.fromkeys(("occurred_at", "recorded_at"), "2026-01-01T00:00:00.000Z")
_BOUNDS: Final = {"version": 1, "stream_id": "order-00000007", "type": "OrderPlaced", **_TIMES}
_REPORT: Final = "select type, count(*) from events group by all"
_ASKED: Final = {
    "everything: count by type, first time": _REPORT,
    "the same again": _REPORT,
    "one stream, by `stream`": "select count(*) from stream('order-00000003')",
    "1,000 positions, by `replay`": "select count(*) from replay(0, 1000)",
}


class Cost(NamedTuple):
    """Of one piece of work: CPU seconds, and, where it was measured, the memory that it took beside what was there, in MB."""

    cpu_s: float
    memory_mb: float = 0.0


def section(run: Run) -> None:
    files, streams = run.sizes.files, run.sizes.heads
    run.table(f"a log of {files:,} joined files", "CPU ms", "µs a file")
    for what, cost in of_files(run.folder(), files, run.sizes.repeats).items():
        run.row(what, ms(cost.cpu_s), f"{cost.cpu_s / files * 1e6:,.2f}")
    run.table(f"heads of {streams:,} streams", "CPU ms", "ns a stream", "memory MB", "bytes a stream")
    for what, cost in of_heads(run.folder(), streams).items():
        run.row(what, ms(cost.cpu_s), f"{cost.cpu_s / streams * 1e9:,.2f}", f"{cost.memory_mb:,.1f}", f"{cost.memory_mb * 1e6 / streams:,.1f}")
    run.table(f"{run.sizes.small_events:,} events in commits of 20,000", "CPU µs an event")
    for what, cost in of_merges(run.folder(), run.sizes.small_events).items():
        run.row(what, f"{cost.cpu_s / run.sizes.small_events * 1e6:,.2f}")
    run.table(f"SQL over {files:,} files of one row group", "CPU ms", "µs a file", "memory MB", "KB a file")
    for what, cost in alone(_of_sql, run.folder(), files).items():
        run.row(what, ms(cost.cpu_s), f"{cost.cpu_s / files * 1e6:,.2f}", f"{cost.memory_mb:,.1f}", f"{cost.memory_mb * 1e3 / files:,.1f}")


def of_files(folder: Path, count: int, times: int) -> dict[str, Cost]:
    segments = joined_files(count)
    head = segments[-1].last
    costs = {}
    replaced = [Retired(s.path, 1, s.size_bytes) for s in joined_files(KEPT_FILES)]
    for what, retired in (("", []), (f", {KEPT_FILES:,} replaced", replaced)):
        state = State(1, head, 1, Table(str(uuid.uuid4()), 1), segments, retired)
        objects = LocalObjects(folder / f"log{len(retired)}")
        objects.put_if_absent(log_path(1), b"{}")
        costs[f"checkpoint written{what}"] = cpu(lambda objects=objects, state=state: checkpoint.write(objects, state), times)
        costs[f"log opened{what}"] = cpu(lambda objects=objects: Log(objects, Nobody()), times)
    costs["look for what is to be merged"] = cpu(lambda: compaction.due(segments), times)
    costs["files that can hold a stream"] = cpu(lambda: reader._holding(segments, "order-00000123", None), times)
    costs["first section of all events"] = cpu(lambda: next(reader._sections(segments, Selection(0, head), backward=False)), times)
    return costs


def joined_files(count: int) -> list[Segment]:
    """As they are of a large log: sixteen for each range of joined runs, the last one whole too. There are as many rows as positions, so it opens."""
    files = []
    for number in range(-(-count // FANOUT) * FANOUT):
        start = number // FANOUT * JOINED_ROWS
        rows = JOINED_ROWS // FANOUT
        run = start + number % FANOUT + 1, start + JOINED_ROWS - FANOUT + number % FANOUT + 1
        low, high = _BOUNDS | {"position": run[0]}, _BOUNDS | {"position": run[1], "stream_id": "order-99999999"}
        stats = {"numRecords": rows, "minValues": low, "maxValues": high, "nullCount": {}}
        path = f"shard=h{number % FANOUT:x}/{start + 1}-{start + JOINED_ROWS}-{uuid.uuid4().hex}.parquet"
        files.append(Segment(path, 34_000_000, rows, *run, "order-00000007", "order-99999999", "", "~", 1, 1, orjson.dumps(stats).decode(), 1))
    return files


def of_merges(folder: Path, events: int) -> dict[str, Cost]:
    """Landed, merged into sorted files, and copied as they are when runs are joined. Upkeep is left to this one thread."""
    with open_store(str(folder / "merged"), create=True) as store, patch.object(store._upkeep, "committed", lambda events: False):
        landed = cpu(lambda: [store.append_table(history(first, min(20_000, events - first))) for first in range(0, events, 20_000)], 1)
        merged = cpu(store.compact, 1)
        copied = cpu(lambda: [compaction._join(store._objects, store._files, [segment]) for segment in store._log.segments()], 1)
    return {"landed, with the making of the table": landed, "merged": merged, "joined": copied}


def of_heads(folder: Path, streams: int) -> dict[str, Cost]:
    place = folder / "heads"
    alone(_write_heads, place, streams)
    return {
        "joined with a quarter as many": alone(_join_heads, place, streams),
        **dict(zip(("read", "1,000 looked up, absent"), alone(_read_heads, place, streams), strict=True)),
    }


def _write_heads(place: Path, streams: int) -> Generator[None, None, None]:
    yield
    for after, until in ((0, streams), (streams, streams + streams // 4)):
        head_runs.write(LocalObjects(place), head_run(after, until))


def head_run(after: int, until: int) -> HeadRun:
    """One event in each stream."""
    numbers = pl.select(number=pl.int_range(after, until))
    columns = {"high": pl.col("number").hash(1), "low": pl.col("number").hash(2), "version": pl.lit(1, pl.Int64)}
    return head_runs._run(after, until, numbers.with_columns(**columns, first=pl.col("number") + 1, last=pl.col("number") + 1))


def _join_heads(place: Path, streams: int) -> Generator[None, None, Cost]:
    older, newer = head_runs.load(LocalObjects(place), 2 * streams)
    yield
    before, objects = peak_mb(), LocalObjects(place.parent / "joined")
    cost = cpu(lambda: head_runs.write(objects, head_runs.joined(older, newer)), times=1)
    return cost._replace(memory_mb=peak_mb() - before)


def _read_heads(place: Path, streams: int) -> Generator[None, None, tuple[Cost, Cost]]:
    objects, hashes = LocalObjects(place), [head_runs.hash_of(f"nobody-{number}") for number in range(1_000)]
    yield
    before, runs = resident_mb(), list[HeadRun]()
    read = cpu(lambda: runs.extend(head_runs.load(objects, streams)), times=1)._replace(memory_mb=resident_mb() - before)
    return read, cpu(lambda: [runs[0].find(stream) for stream in hashes], times=3)


def _of_sql(folder: Path, count: int) -> Generator[None, None, dict[str, Cost]]:
    """One file under many names: what is planned is how many there are."""
    events, _ = place_table(bulk(history(0, 10_000)), lambda streams: [0] * len(streams), 0, 0)
    _, body = encoded(events.slice(0, ROW_GROUP_ROWS), "h0", (1, ROW_GROUP_ROWS))
    (folder / "file").write_bytes(body)
    names = [str(folder / f"shard=h0/{n * ROW_GROUP_ROWS + 1}-{(n + 1) * ROW_GROUP_ROWS}-{n:032x}.parquet") for n in range(count)]
    (folder / "shard=h0").mkdir()
    for name in names:
        os.link(folder / "file", name)
    session, until = SqlSession(), f"position <= {count * ROW_GROUP_ROWS}"
    yield
    costs = {}
    for what, query in _ASKED.items():
        before = resident_mb()
        cost = cpu(lambda query=query: session.query(view_files(names, until, list, nothing_hidden), query, None).relation.fetchall(), times=1)
        costs[what] = cost._replace(memory_mb=max(0.0, resident_mb() - before))
    session.close()
    return costs


def cpu(work: Callable[[], object], times: int) -> Cost:
    """The least of some times."""
    spent = []
    for _ in range(times):
        began = time.process_time()
        work()
        spent.append(time.process_time() - began)
    return Cost(min(spent))

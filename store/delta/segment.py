"""Writing the log's Parquet files: landing files for latency, sorted files for reading."""

from __future__ import annotations

import time
import uuid
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import Any, Final

import orjson
import polars as pl
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from store.delta.actions import Segment, rfc3339, rfc3339_above
from store.delta.objects import Objects
from store.schema import EVENTS
from store.shard import ROOT, depth_for, shard_of

LEAF_ROWS: Final = 50_000
"""A file goes to deeper shards when each would get this many rows on average."""
RUN_ROWS: Final = 1 << 20
"""A sorted run holds this many positions at most, so that putting it back in log order takes bounded memory."""
ROW_GROUP_ROWS: Final = 8_192

_NAMES: Final = ("stream_id", "type")                        # statistics of every kind
_NUMBERS: Final = ("position", "version")
_TIMES: Final = ("occurred_at", "recorded_at")
_NULLABLE: Final = [field.name for field in EVENTS if field.nullable]
_NO_NULLS: Final = {field.name: 0 for field in EVENTS if not field.nullable and field.name != "tags"}
_FEW: Final = 300
_REPEATING: Final = ["stream_id", "type", "correlation_id", "causation_id", "tags.list.element", "metadata"]


@dataclass(frozen=True, slots=True)
class _Part:
    """The rows of one file to write."""

    path: str
    events: pa.Table
    sorted: bool


def write_segments(objects: Objects, events: pa.Table, landing: bool) -> list[Segment]:
    """Durable files holding these events (a dense range of positions, in log order), not yet part of the log.

    `landing`: a small table goes into one file in `h`, encoded for speed. Else, and for a large one: sorted by
    stream and version, in shards as deep as they are well filled.
    """
    if landing and len(events) < LEAF_ROWS:
        return [_write(objects, _Part(_path(ROOT, events), events, sorted=False))]
    parts = [part for start in range(0, len(events), RUN_ROWS) for part in _spread(events.slice(start, RUN_ROWS))]
    if len(parts) == 1:
        return [_write(objects, parts[0])]
    with ThreadPoolExecutor(2) as pool:            # encoding and fsync free the GIL: two files at a time use both
        return list(pool.map(lambda part: _write(objects, part), parts))


def encoded(events: pa.Table, shard: str, run: tuple[int, int]) -> tuple[Segment, pa.Buffer]:
    """One file of a shard of a run, with its rows in the order given: what it is, and its bytes, which nobody has written yet."""
    part = _Part(_named(shard, run), events, sorted=True)
    body = _encoded(part)
    return _described(part, body.size), body


def renamed(segment: Segment) -> Segment:
    """The same contents under a name that nobody else writes."""
    return replace(segment, path=_named(segment.shard, segment.run), modified_ms=time.time_ns() // 1_000_000)


def _spread(events: pa.Table) -> Iterator[_Part]:
    """One run: sorted by (shard, stream, version), one part a shard."""
    depth = depth_for(len(events), LEAF_ROWS)
    rows = pl.DataFrame({"stream_id": pl.from_arrow(events["stream_id"])})
    names = rows["stream_id"].unique()
    shards = pl.Series("shard", [shard_of(name, depth) for name in names]) if depth else pl.repeat(ROOT, len(names), eager=True).alias("shard")
    ranks = pl.DataFrame([names, shards]).sort("shard", "stream_id").with_row_index("rank")
    ranked = rows.join(ranks, on="stream_id", how="left", maintain_order="left")
    # Rows come in log order, so a stable sort by stream leaves each stream in version order.
    ordered = events.take(ranked.select(pl.arg_sort_by("rank", maintain_order=True)).to_series().to_arrow())
    start = 0
    for shard, count in ranked.group_by("shard").len().sort("shard").iter_rows():
        yield _Part(_path(shard, events), ordered.slice(start, count), sorted=True)
        start += count


def _path(shard: str, run: pa.Table) -> str:
    return _named(shard, (run["position"][0].as_py(), run["position"][-1].as_py()))


def _named(shard: str, run: tuple[int, int]) -> str:
    """By the positions of the whole run, also for a person who lists the folder."""
    return f"shard={shard}/{run[0]}-{run[1]}-{uuid.uuid4().hex}.parquet"


def _write(objects: Objects, part: _Part) -> Segment:
    body = _encoded(part)
    objects.put(part.path, body)
    return _described(part, body.size)


def _encoded(part: _Part) -> pa.Buffer:
    sink = pa.BufferOutputStream()
    if part.sorted:
        pq.write_table(
            part.events, sink, compression="zstd", compression_level=1, use_dictionary=_REPEATING, row_group_size=ROW_GROUP_ROWS,
            store_schema=False, write_statistics=["position", "stream_id", "version", "type", "recorded_at", "occurred_at"],
        )
    else:
        pq.write_table(part.events, sink, compression="lz4", use_dictionary=False, store_schema=False, write_statistics=False)
    return sink.getvalue()


def _described(part: _Part, size_bytes: int) -> Segment:
    events = part.events
    low: dict[str, Any] = {}
    high: dict[str, Any] = {}
    for name in (*_NUMBERS, *_NAMES, *_TIMES):
        low[name], high[name] = _min_max(events[name])
    stats = {
        "numRecords": len(events),
        "minValues": low | {name: rfc3339(low[name]) for name in _TIMES},
        "maxValues": high | {name: rfc3339_above(high[name]) for name in _TIMES},
        "nullCount": _NO_NULLS | {name: events[name].null_count for name in _NULLABLE},
    }
    return Segment(
        path=part.path,
        size_bytes=size_bytes,
        rows=len(events),
        first=low["position"],
        last=high["position"],
        lowest_stream=low["stream_id"],
        highest_stream=high["stream_id"],
        lowest_type=low["type"],
        highest_type=high["type"],
        recorded_from=low["recorded_at"],
        recorded_until=high["recorded_at"],
        stats=orjson.dumps(stats).decode(),
        modified_ms=time.time_ns() // 1_000_000,
    )


def _min_max(column: pa.ChunkedArray) -> tuple[Any, Any]:
    """Times as microseconds. Of a few values Python's own functions are quicker than a call into Arrow."""
    if len(column) > _FEW:
        bounds = pc.min_max(column.cast(pa.int64()) if pa.types.is_timestamp(column.type) else column)
        return bounds["min"].as_py(), bounds["max"].as_py()
    values = [value for chunk in column.chunks for value in (chunk.view(pa.int64()) if pa.types.is_timestamp(chunk.type) else chunk).to_pylist()]
    return min(values), max(values)

"""One Parquet file of the log while it is written: landing files for latency, sorted files for reading."""

from __future__ import annotations

import hashlib
import time
import uuid
from dataclasses import replace
from typing import Any, Final

import orjson
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from store.delta.actions import ARCHIVE, Segment, rfc3339, rfc3339_above
from store.schema import EVENTS
from store.shard import ROOT
from store.storage.objects import Objects

ROW_GROUP_ROWS: Final = 2_048

_NAMES: Final = ("stream_id", "type")                        # statistics of every kind
_NUMBERS: Final = ("position", "version")
_TIMES: Final = ("occurred_at", "recorded_at")
_NULLABLE: Final = [field.name for field in EVENTS if field.nullable]
_NO_NULLS: Final = {field.name: 0 for field in EVENTS if not field.nullable and field.name != "tags"}
_FEW: Final = 300
_REPEATING: Final = ["stream_id", "type", "correlation_id", "causation_id", "tags.list.element", "metadata"]
_NEARBY: Final = ["position", "version", "schema_version", "occurred_at", "recorded_at"]


class Statistics:
    """What a commit says of a file: rows, nulls, the least and the greatest value of some columns."""

    def __init__(self) -> None:
        self.rows = 0
        self.low: dict[str, Any] = {}
        self.high: dict[str, Any] = {}
        self._nulls = dict.fromkeys(_NULLABLE, 0)

    def add(self, events: pa.Table) -> None:
        for name in (*_NUMBERS, *_NAMES, *_TIMES):
            low, high = _min_max(events[name])
            self.low[name] = min(low, self.low.get(name, low))
            self.high[name] = max(high, self.high.get(name, high))
        for name in _NULLABLE:
            self._nulls[name] += events[name].null_count
        self.rows += len(events)

    def segment(self, path: str, body: pa.Buffer) -> Segment:
        low, high = self.low, self.high
        stats = {
            "numRecords": self.rows,
            "minValues": low | {name: rfc3339(low[name]) for name in _TIMES},
            "maxValues": high | {name: rfc3339_above(high[name]) for name in _TIMES},
            "nullCount": _NO_NULLS | self._nulls,
        }
        return Segment(
            path=path,
            size_bytes=body.size,
            rows=self.rows,
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
            sha256=sha256(body),
        )


class Part:
    """A sorted file that grows by row groups, in memory until it is put: one shard of a run, or a piece of one."""

    def __init__(self, shard: str, first: int, last: int, archived: bool = False) -> None:
        """`first`, `last`: the positions of the whole run."""
        self._path = _path(shard, first, last, archived)
        self._statistics = Statistics()
        self._sink = pa.BufferOutputStream()
        self._writer = pq.ParquetWriter(
            self._sink, EVENTS, compression="zstd", compression_level=1, use_dictionary=_REPEATING, store_schema=False,
            # Neighbours differ little: a quarter of what a dictionary of all of them takes, and quicker to read.
            column_encoding=dict.fromkeys(_NEARBY, "DELTA_BINARY_PACKED"),
            write_statistics=["position", "stream_id", "version", "type", "recorded_at", "occurred_at"],
            write_page_checksum=True,
        )  # fmt: skip

    def add(self, events: pa.Table) -> None:
        """Put these rows, sorted by (stream_id, version), into row groups of their own, all alike in size."""
        groups = -(-len(events) // ROW_GROUP_ROWS)
        self._writer.write_table(events, row_group_size=-(-len(events) // groups))
        self._statistics.add(events)

    def size_bytes(self) -> int:
        return int(self._sink.tell())

    def done(self) -> tuple[Segment, pa.Buffer]:
        """What the file is, and its bytes, which nobody has written yet."""
        self._writer.close()
        body = self._sink.getvalue()
        return self._statistics.segment(self._path, body), body

    def put(self, objects: Objects) -> Segment:
        """Make the file durable; it is not yet part of the log."""
        segment, body = self.done()
        objects.put(segment.path, body)
        return segment


def encoded(events: pa.Table, shard: str, run: tuple[int, int]) -> tuple[Segment, pa.Buffer]:
    """One file of a shard of a run, with its rows in the order given: what it is, and its bytes, which nobody has written yet."""
    part = Part(shard, *run)
    part.add(events)
    return part.done()


def renamed(segment: Segment) -> Segment:
    """The same contents under a name that nobody else writes."""
    return replace(segment, path=_path(segment.shard, *segment.run, segment.archived), modified_ms=time.time_ns() // 1_000_000)


def put_landing(objects: Objects, events: pa.Table) -> Segment:
    """These events in log order, durable in one file in `h` that is quick to write; not yet part of the log."""
    segment, body = landed(events, ROOT, (events["position"][0].as_py(), events["position"][-1].as_py()))
    objects.put(segment.path, body)
    return segment


def landed(events: pa.Table, shard: str, run: tuple[int, int]) -> tuple[Segment, pa.Buffer]:
    """A file that is quick to write, with its rows in the order given: what it is, and its bytes, which nobody has written yet."""
    sink = pa.BufferOutputStream()
    pq.write_table(events, sink, compression="lz4", use_dictionary=False, store_schema=False, write_statistics=False)
    body = sink.getvalue()
    statistics = Statistics()
    statistics.add(events)
    return statistics.segment(_path(shard, *run), body), body


def sha256(body: bytes | pa.Buffer) -> str:
    """In hex. It leaves the interpreter to other threads meanwhile, unless the body is small."""
    return hashlib.sha256(body).hexdigest()


def _path(shard: str, first: int, last: int, archived: bool = False) -> str:
    """Named by the positions of the whole run, also for a person who lists the folder."""
    return f"{ARCHIVE if archived else ''}shard={shard}/{first}-{last}-{uuid.uuid4().hex}.parquet"


def _min_max(column: pa.ChunkedArray) -> tuple[Any, Any]:
    """Times as microseconds. Of a few values Python's own functions are quicker than a call into Arrow."""
    if len(column) > _FEW:
        bounds = pc.min_max(column.cast(pa.int64()) if pa.types.is_timestamp(column.type) else column)
        return bounds["min"].as_py(), bounds["max"].as_py()
    values = [value for chunk in column.chunks for value in (chunk.view(pa.int64()) if pa.types.is_timestamp(chunk.type) else chunk).to_pylist()]
    return min(values), max(values)

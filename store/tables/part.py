"""One Parquet file of a table while it is written."""

from __future__ import annotations

import time
import zlib
from collections.abc import Mapping
from typing import Any, Final

import orjson
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from store.storage.objects import Objects
from store.tables.files import File, new_path
from store.tables.layout import Layout

FOOTER_TAG: Final = "alluvium.footer"


def checksum(body: pa.Buffer) -> str:
    """Of a Parquet file's footer. A page has its own; but from a footer with a wrong bit Arrow may abort the process."""
    length = int.from_bytes(body[-8:-4].to_pybytes(), "little") + 8
    return f"{zlib.crc32(body[max(0, body.size - length) :]):08x}"


class Part:
    """A file that grows by row groups, in memory until it is put."""

    def __init__(self, layout: Layout, partition: str = "") -> None:
        self._layout = layout
        self._path = new_path(layout, partition)
        self._rows = 0
        self._low: dict[str, Any] = {}
        self._high: dict[str, Any] = {}
        self._nulls = dict.fromkeys((field.name for field in layout.schema if not pa.types.is_nested(field.type)), 0)
        self._sink = pa.BufferOutputStream()
        self._writer = pq.ParquetWriter(self._sink, layout.schema, store_schema=False, write_page_checksum=True, **layout.parquet)

    def add(self, rows: pa.Table) -> None:
        """Put these rows into one row group."""
        if not len(rows):
            return
        self._writer.write_table(rows, row_group_size=len(rows))
        self._rows += len(rows)
        for name in self._layout.bounded:
            bounds = pc.min_max(rows[name])
            low, high = bounds["min"].as_py(), bounds["max"].as_py()
            if low is not None:
                self._low[name], self._high[name] = min(low, self._low.get(name, low)), max(high, self._high.get(name, high))
        for name in self._nulls:
            self._nulls[name] += rows[name].null_count

    def size_bytes(self) -> int:
        return int(self._sink.tell())

    def put(self, objects: Objects, tags: Mapping[str, str] | None = None) -> File:
        """Make the file durable; it is not yet part of the table. `tags`: what the commit shall say of it beside."""
        self._writer.close()
        body = self._sink.getvalue()
        objects.put(self._path, body)
        stats = {"numRecords": self._rows, "minValues": self._low, "maxValues": self._high, "nullCount": self._nulls}
        return File(
            path=self._path,
            size_bytes=body.size,
            rows=self._rows,
            low=self._low,
            high=self._high,
            stats=orjson.dumps(stats).decode(),
            modified_ms=time.time_ns() // 1_000_000,
            tags={FOOTER_TAG: checksum(body)} | dict(tags or {}),
        )

"""The columns of the log, as every reader sees them."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final

import pyarrow as pa

INSTANT: Final = pa.timestamp("us", tz="UTC")

EVENTS: Final = pa.schema(
    [
        pa.field("position", pa.int64(), nullable=False),
        pa.field("stream_id", pa.string(), nullable=False),
        pa.field("version", pa.int64(), nullable=False),
        pa.field("event_id", pa.string(), nullable=False),
        pa.field("type", pa.string(), nullable=False),
        pa.field("schema_version", pa.int32(), nullable=False),
        pa.field("occurred_at", INSTANT, nullable=False),
        pa.field("recorded_at", INSTANT, nullable=False),
        pa.field("correlation_id", pa.string()),
        pa.field("causation_id", pa.string()),
        pa.field("tags", pa.list_(pa.field("element", pa.string(), nullable=False)), nullable=False),
        pa.field("data", pa.string(), nullable=False),
        pa.field("metadata", pa.string()),
    ]
)
"""The columns of the log, in their order; `data` and `metadata` hold JSON text. On disk a partition column `shard` follows."""

GIVEN: Final = ("stream_id", "event_id", "type", "schema_version", "occurred_at", "correlation_id", "causation_id", "tags", "data", "metadata")
"""The columns a writer gives; the store adds position, version and recorded_at."""


def events_table(columns: Iterable[list[Any] | tuple[Any, ...] | pa.Array | pa.ChunkedArray]) -> pa.Table:
    """A table of EVENTS from its columns in order."""
    arrays = [pa.array(column, kind) if isinstance(column, list | tuple) else column for kind, column in zip(EVENTS.types, columns, strict=True)]
    return pa.Table.from_arrays(arrays, schema=EVENTS)

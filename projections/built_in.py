"""Projections that every warehouse can have, whatever its domain: what streams there are, and what types of events."""

from __future__ import annotations

from typing import Final

import pyarrow as pa

from projections.forms.sql import Sql
from projections.projection import Projection

_TIME: Final = pa.timestamp("us", tz="UTC")

streams: Final = Projection(
    name="streams",
    version=2,
    description="Every stream: its version, its events and the bytes of their data, when the first and the last one occurred and were recorded.",
    key=("stream_id",),
    by_stream=True,
    columns=pa.schema(
        {
            "stream_id": pa.string(),
            "category": pa.string(),
            "version": pa.int64(),
            "events": pa.int64(),
            "data_bytes": pa.int64(),
            "first_position": pa.int64(),
            "last_position": pa.int64(),
            "first_occurred_at": _TIME,
            "last_occurred_at": _TIME,
            "first_recorded_at": _TIME,
            "last_recorded_at": _TIME,
            "last_type": pa.string(),
        }
    ),
    form=Sql(
        select="""
            select
                stream_id,
                split_part(stream_id, '-', 1) as category,
                version,
                1 as events,
                strlen(data) as data_bytes,
                position as first_position,
                position as last_position,
                occurred_at as first_occurred_at,
                occurred_at as last_occurred_at,
                recorded_at as first_recorded_at,
                recorded_at as last_recorded_at,
                type as last_type,
                position
            from events
        """,
        combine={
            "category": "last",
            "version": "max",
            "events": "count",
            "data_bytes": "sum",
            "first_position": "min",
            "last_position": "max",
            "first_occurred_at": "min",
            "last_occurred_at": "max",
            "first_recorded_at": "min",
            "last_recorded_at": "max",
            "last_type": "last",
        },
    ),
)
"""A row for each stream."""

event_types: Final = Projection(
    name="event_types",
    version=1,
    description="Every type of event in each of its schema versions, by the day it was recorded (UTC): how many, how large, where in the log.",
    key=("type", "schema_version", "day"),
    columns=pa.schema(
        {
            "type": pa.string(),
            "schema_version": pa.int32(),
            "day": pa.date32(),
            "events": pa.int64(),
            "data_bytes": pa.int64(),
            "first_position": pa.int64(),
            "last_position": pa.int64(),
        }
    ),
    form=Sql(
        select="""
            select
                type,
                schema_version,
                recorded_at::date as day,
                1 as events,
                strlen(data) as data_bytes,
                position as first_position,
                position as last_position
            from events
        """,
        combine={"events": "count", "data_bytes": "sum", "first_position": "min", "last_position": "max"},
    ),
)
"""A row for each type, version of its shape, and day."""

BUILT_IN: Final = (streams, event_types)
"""Kept up to date beside the projections of every domain."""

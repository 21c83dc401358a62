"""The error for one row that cannot be read, with all that the table tells of the event."""

from __future__ import annotations

from typing import Any

import pyarrow as pa

from store.errors import UnreadableEventError


def unreadable(events: pa.RecordBatch, row: int, reason: str, remedy: str, bare_reason: str | None = None) -> UnreadableEventError:
    """`bare_reason`: without any value out of the event, where the reason may tell one."""

    def told(column: str) -> Any:
        return events.column(column)[row].as_py() if column in events.schema.names else None

    return UnreadableEventError(
        told("type"),
        told("schema_version"),
        reason,
        remedy,
        stream_id=told("stream_id"),
        version=told("version"),
        position=told("position"),
        event_id=told("event_id"),
        bare_reason=bare_reason,
    )

"""The columns of the log and of read models, as Dagster's catalogue shows them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import dagster as dg
import pyarrow as pa

from projections import Projection, Sql, Typed
from store import EVENTS

LOG_COLUMNS: Final[Mapping[str, str]] = {
    "position": "Place in the log, from 1, dense.",
    "stream_id": "One aggregate's history; the category is the part before the first -.",
    "version": "Place in the stream, from 1.",
    "event_id": "UUID, the same when the append is repeated.",
    "type": "What happened.",
    "schema_version": "Of the type's shape.",
    "occurred_at": "Business time, given by who appended; else when it was recorded.",
    "recorded_at": "When it was committed; never decreases with position.",
    "correlation_id": "Of the conversation that it belongs to.",
    "causation_id": "Id of the event or command that it follows from.",
    "tags": "By which it can be found.",
    "data": "What the event says, JSON.",
    "metadata": "What is said about it, JSON.",
}
BESIDE_FIELDS: Final = {
    **{name: said for name, said in LOG_COLUMNS.items() if name not in ("type", "schema_version", "data", "metadata")},
    "piece": "From 1: several where the event was split.",
}
"""What a typed table has of the log; all other columns are fields of its events."""
_COMBINED: Final = {
    "sum": "Sum over the events of its key.",
    "count": "Counted over the events of its key.",
    "min": "The least among the events of its key.",
    "max": "The greatest among the events of its key.",
    "first": "Of the first event of its key.",
    "last": "Of the last event of its key.",
}


def log_schema() -> dg.TableSchema:
    unique = {"position", "event_id"}
    columns = [_column(field, LOG_COLUMNS[field.name], field.name == "position", not field.nullable or field.name in unique) for field in EVENTS]
    return dg.TableSchema(columns, dg.TableConstraints(["a stream's versions are 1 to n, positions are 1 to the head"]))


def column_schema(projection: Projection) -> dg.TableSchema:
    """A field's description is taken from its metadata in Arrow (`description` or `comment`), else from what is known of its form."""
    alone = len(projection.key) == 1
    columns = [_column(field, _said(projection, field), alone and field.name in projection.key, field.name in projection.key)
               for field in projection.columns]  # fmt: skip
    return dg.TableSchema(columns, dg.TableConstraints([f"one row for each {', '.join(projection.key)}"]))


def _column(field: pa.Field, description: str | None, unique: bool, filled: bool) -> dg.TableColumn:
    constraints = dg.TableColumnConstraints(nullable=not filled, unique=unique)
    return dg.TableColumn(field.name, str(field.type), description or None, constraints)


def _said(projection: Projection, field: pa.Field) -> str | None:
    said = field.metadata or {}
    if text := said.get(b"description") or said.get(b"comment"):
        return str(text.decode())
    match projection.form:
        case Typed():
            return BESIDE_FIELDS.get(field.name)
        case Sql(combine=combine) if field.name in combine:
            return _COMBINED[combine[field.name]]
    return None

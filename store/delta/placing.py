"""From accepted appends to rows of the log: every event gets its position, version and recorded_at."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import polars as pl
import pyarrow as pa
import pyarrow.compute as pc

from store.bulk import Bulk
from store.draft import Row
from store.schema import INSTANT, events_table


def place_rows(rows: Sequence[Row], versions: Sequence[int], head: int, recorded_at: int) -> pa.Table:
    """Rows in log order after position `head`, as a table of EVENTS."""
    stream_id, event_id, type, schema_version, occurred_at, *rest = zip(*rows, strict=True)
    return events_table(
        [
            _positions(head, len(rows)),
            stream_id,
            versions,
            event_id,
            type,
            schema_version,
            [recorded_at if occurred is None else occurred for occurred in occurred_at],
            _constant(recorded_at, len(rows)),
            *rest,
        ]
    )


def place_table(given: Bulk, versions_of: Callable[[pl.Series], list[int]], head: int, recorded_at: int) -> tuple[pa.Table, dict[str, int]]:
    """The same for a table, and the new version of each of its streams. `versions_of`: distinct streams -> their versions now."""
    table, rows = given.table, len(given.table)
    streams = pl.DataFrame({"stream_id": pl.from_arrow(table["stream_id"])})
    counts = streams.group_by("stream_id").len()
    counts = counts.with_columns(before=pl.Series(versions_of(counts["stream_id"]), dtype=pl.Int64))
    versions = streams.join(counts, on="stream_id", how="left", maintain_order="left").select(
        pl.col("before") + pl.col("stream_id").cum_count().over("stream_id"),
    )
    new_heads = counts.select("stream_id", pl.col("before") + pl.col("len")).rows()
    columns: list[Any] = [
        _positions(head, rows),
        table["stream_id"],
        versions.to_series().to_arrow(),
        table["event_id"],
        table["type"],
        table["schema_version"],
        pc.fill_null(table["occurred_at"], pa.scalar(recorded_at, INSTANT)),
        _constant(recorded_at, rows),
        *(table[name] for name in ("correlation_id", "causation_id", "tags", "data", "metadata")),
    ]
    return events_table(columns), dict(new_heads)


def _positions(head: int, rows: int) -> pa.Array:
    return pl.int_range(head + 1, head + rows + 1, dtype=pl.Int64, eager=True).to_arrow()


def _constant(recorded_at: int, rows: int) -> pa.Array:
    return pa.repeat(pa.scalar(recorded_at, INSTANT), rows)

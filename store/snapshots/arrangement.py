"""The order of snapshots in a file, and which of them are kept."""

from __future__ import annotations

from typing import Final

import polars as pl
import pyarrow as pa

from store.snapshots.snapshot import SNAPSHOTS

_OWNER: Final = ["stream_id", "aggregate"]


def frame_of(rows: pa.Table) -> pl.DataFrame:
    frame = pl.from_arrow(rows)
    assert isinstance(frame, pl.DataFrame)
    return frame


def rows_of(frame: pl.DataFrame) -> pa.Table:
    return frame.select(SNAPSHOTS.names).to_arrow().cast(SNAPSHOTS)


def arranged(frame: pl.DataFrame) -> pl.DataFrame:
    """The snapshots that are kept, by (stream_id, aggregate, version), of one version by taken_at.

    Of an aggregate and stream these are the newest `keep`, as the newest of these rows says. Rows of other files can only make
    more of them superfluous.
    """
    ordered = frame.sort(*_OWNER, "version", "taken_at", maintain_order=True)
    once = ordered.unique([*_OWNER, "version", "schema_version"], keep="last", maintain_order=True)
    newer = pl.len().over(_OWNER) - 1 - pl.int_range(pl.len()).over(_OWNER)
    return once.filter(newer < pl.col("keep").last().over(_OWNER))


def newest_each(frame: pl.DataFrame) -> pl.DataFrame:
    """The newest snapshot of each stream, by stream_id; all rows are of one aggregate."""
    return frame.sort("stream_id", "version", "taken_at", maintain_order=True).unique("stream_id", keep="last", maintain_order=True)

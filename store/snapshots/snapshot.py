"""One snapshot, the table that holds them, and what may be in it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final, NamedTuple

import pyarrow as pa
import pyarrow.compute as pc

from store.draft import check_text
from store.errors import InvalidEventError
from store.limits import MAX_NAME_BYTES, MAX_STATE_BYTES, MAX_STREAM_ID_BYTES
from store.schema import INSTANT
from store.tables.layout import Layout
from store.tables.publishing import FEATURE
from store.times import EARLIEST, LATEST


class Snapshot(NamedTuple):
    """The state of one aggregate after one event of one stream."""

    aggregate: str
    """The name of what was folded: several aggregates may fold one stream."""
    stream_id: str
    version: int
    """Of the stream, from 1: the state after that event."""
    position: int
    """Of that event in the log."""
    event_id: str
    """Of that event: another log may have another one at the same place."""
    schema_version: int
    """Of the state's shape."""
    keep: int
    """How many of the newest snapshots of this aggregate and stream are kept, 1 at least."""
    taken_at: int
    """Microseconds since 1970 UTC."""
    state: str
    """JSON text; not looked into."""


SNAPSHOTS: Final = pa.schema(
    [
        pa.field("stream_id", pa.string(), nullable=False),
        pa.field("aggregate", pa.string(), nullable=False),
        pa.field("version", pa.int64(), nullable=False),
        pa.field("position", pa.int64(), nullable=False),
        pa.field("event_id", pa.string(), nullable=False),
        pa.field("schema_version", pa.int32(), nullable=False),
        pa.field("keep", pa.int32(), nullable=False),
        pa.field("taken_at", INSTANT, nullable=False),
        pa.field("state", pa.string(), nullable=False),
    ]
)
"""The columns of the table `snapshots`, as every reader sees them. On disk a partition column `shard` follows."""

LAYOUT: Final = Layout(
    name="snapshots",
    description="States of aggregates of an Alluvium warehouse, as of one event of a stream each. Derivable from the events.",
    schema=SNAPSHOTS,
    partition="shard",
    bounded=("stream_id", "aggregate", "version", "position"),
    features=(FEATURE,),
    configuration={
        "alluvium.format": "1",
        # Foreign clean-up must not outrun our own: we say when log files and replaced files go.
        "delta.enableExpiredLogCleanup": "false",
        "delta.logRetentionDuration": "interval 1 hours",
        "delta.deletedFileRetentionDuration": "interval 1 hours",
    },
    parquet={
        "compression": "zstd",
        "compression_level": 1,
        "use_dictionary": ["aggregate"],
        "column_encoding": dict.fromkeys(["version", "position", "schema_version", "keep", "taken_at"], "DELTA_BINARY_PACKED"),
        "write_statistics": ["stream_id", "aggregate", "version", "position"],
    },
)

_NAMES: Final = {"stream_id": MAX_STREAM_ID_BYTES, "aggregate": MAX_NAME_BYTES, "event_id": MAX_NAME_BYTES}
_LEAST: Final = {"version": 1, "position": 1, "schema_version": 0, "keep": 1, "taken_at": EARLIEST}
_MOST: Final = {"version": 2**63 - 1, "position": 2**63 - 1, "schema_version": 2**31 - 1, "keep": 2**31 - 1, "taken_at": LATEST}


def check(snapshot: Snapshot) -> None:
    """InvalidEventError: it breaks a rule."""
    for name, limit in _NAMES.items():
        check_text(name, getattr(snapshot, name), limit)
    for name, least in _LEAST.items():
        value = getattr(snapshot, name)
        if not isinstance(value, int) or isinstance(value, bool) or not least <= value <= _MOST[name]:
            raise _out_of_range(name, value)
    check_state(snapshot.state)


def check_state(state: object) -> None:
    """InvalidEventError: it is no text, or too long."""
    if not isinstance(state, str):
        raise InvalidEventError("state", state, "is not a str", "give JSON text")
    try:
        size = len(state.encode())
    except UnicodeEncodeError as error:
        raise InvalidEventError("state", state, "holds lone surrogates", "encode them as JSON does") from error
    _check_size(size)


def table_of(snapshots: Sequence[Snapshot]) -> pa.Table:
    """The same as a table of SNAPSHOTS. InvalidEventError: one of them breaks a rule."""
    for snapshot in snapshots:
        check(snapshot)
    columns = [[getattr(snapshot, name) for snapshot in snapshots] for name in SNAPSHOTS.names]
    return pa.Table.from_arrays([pa.array(column, kind) for column, kind in zip(columns, SNAPSHOTS.types, strict=True)], schema=SNAPSHOTS)


def checked(snapshots: pa.Table) -> pa.Table:
    """The same in the exact types of SNAPSHOTS, columns in its order. InvalidEventError: a column or a value breaks a rule."""
    if not isinstance(snapshots, pa.Table) or sorted(snapshots.column_names) != sorted(SNAPSHOTS.names):
        given = snapshots.column_names if isinstance(snapshots, pa.Table) else type(snapshots).__name__
        raise InvalidEventError("snapshots", given, "are no table of snapshots", f"give a pa.Table with the columns {', '.join(SNAPSHOTS.names)}")
    try:
        table = snapshots.select(SNAPSHOTS.names).cast(SNAPSHOTS)
        table.validate(full=True)
    except (pa.ArrowException, ValueError) as error:
        raise InvalidEventError("snapshots", str(snapshots.schema), f"do not fit ({error})", "cast the columns, without nulls") from error
    if len(table):
        _check_columns(table)
    return table


def snapshots_of(rows: pa.Table) -> list[Snapshot]:
    """The rows of a table of SNAPSHOTS."""
    times = rows.schema.get_field_index("taken_at")
    plain = rows.set_column(times, "taken_at", rows["taken_at"].cast(pa.int64()))
    return [Snapshot(*row) for row in zip(*(plain[name].to_pylist() for name in Snapshot._fields), strict=True)]


def _check_columns(table: pa.Table) -> None:
    """Of each column the worst values stand for all."""
    for name, limit in _NAMES.items():
        for value in pc.unique(table[name]).to_pylist():
            check_text(name, value, limit)
    for name, least in _LEAST.items():
        bounds: Any = pc.min_max(table[name].cast(pa.int64()))
        for value in (bounds["min"].as_py(), bounds["max"].as_py()):
            if not least <= value <= _MOST[name]:
                raise _out_of_range(name, value)
    sizes: Any = pc.min_max(pc.binary_length(table["state"]))
    for size_bytes in (sizes["min"].as_py(), sizes["max"].as_py()):
        _check_size(size_bytes)


def _check_size(size_bytes: int) -> None:
    if not 0 < size_bytes <= MAX_STATE_BYTES:
        raise InvalidEventError("state", f"of {size_bytes:,} bytes", f"is empty or over the limit of {MAX_STATE_BYTES:,}", "take no snapshot of it")


def _out_of_range(name: str, value: object) -> InvalidEventError:
    return InvalidEventError(name, value, "is out of range", f"give a whole number from {_LEAST[name]:,} to {_MOST[name]:,}")

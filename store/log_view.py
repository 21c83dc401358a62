"""The log up to one place, as selects of DuckDB: what every query is over, whoever asks it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import TypeAlias

import pyarrow as pa

from store.errors import InvalidEventError
from store.parquet_sql import quoted, read_parquet
from store.schema import EVENTS
from store.snapshots.snapshot import SNAPSHOTS

Snapshots: TypeAlias = "Callable[[], Sequence[str] | pa.Table]"
"""Gives their Parquet files, or their rows. It is called only for a query that asks for them."""
Hidden: TypeAlias = "Callable[[], pa.Table | None]"
"""Gives the versions up to which streams hide events, by columns stream_id and hidden; None: none does. It is called only for a query of streams."""

_LOG = ", ".join(EVENTS.names)
_POSITIONS = "try_cast(regexp_extract(filename, '/([0-9]+)-([0-9]+)-[^/]*$', {}) as bigint)"     # what may fail is not put before a join
SHARD = "regexp_extract(filename, '/shard=(h[0-9a-f]*)/[^/]*$', 1)"
LOCATED = f"{_LOG}, {SHARD} as shard, {_POSITIONS.format(1)} as first_position, {_POSITIONS.format(2)} as last_position"
"""The columns of `located_events` out of a file, whose name tells its shard, and between which positions it holds events."""
_PLACED = f"{_LOG}, 'h' as shard, position as first_position, position as last_position"

VISIBLE = (
    "select event.* from ({}) event left join hidden_versions cut on cut.stream_id = event.stream_id "
    "where event.version > coalesce(cut.hidden, 0)"
)
"""Of a select of events those that their streams show, by the rows of `hidden_versions`. A join, through which a condition on streams reaches the
files: under `not exists` they are all read."""
_ONCE = "qualify row_number() over (partition by stream_id, aggregate, version, schema_version order by taken_at desc) = 1"
_OWNER = "partition by stream_id, aggregate order by version desc, taken_at desc"
_KEPT = f"qualify row_number() over ({_OWNER}) <= first_value(keep) over ({_OWNER})"
"""Which snapshots are kept, as `arranged` says it: files hold others until they are merged."""


def nothing_hidden() -> None:
    """Every event of every stream can be seen."""


@dataclass(frozen=True, slots=True)
class LogView:
    """`located`: a select of the columns of `located_events`, and of `rows` by name. `seen`: a condition on snapshots, which may ask `events`."""

    located: str
    seen: str
    snapshots: Snapshots
    hidden: Hidden = nothing_hidden
    rows: Mapping[str, pa.Table] = field(default_factory=dict)

    def kept_snapshots(self) -> tuple[str, Mapping[str, pa.Table]]:
        """A select of the snapshots of events that can be seen, and the rows that it reads by name. One of a later event is of a state to come."""
        there = self.snapshots()
        if isinstance(there, pa.Table) or not there:
            rows = there if isinstance(there, pa.Table) else SNAPSHOTS.empty_table()
            return self._of_snapshots("taken_snapshots", "'h'"), {"taken_snapshots": rows}
        return self._of_snapshots(read_parquet(there), SHARD), {}

    def _of_snapshots(self, source: str, shard: str) -> str:
        return f"select * from ({kept_snapshots(source, shard)}) where {self.seen}"


def view_files(files: Sequence[str], until: str, snapshots: Snapshots, hidden: Hidden) -> LogView:
    """`files`: every live Parquet file of the log that can hold events up to there. `until`: as `until` says it."""
    return LogView(f"select {LOCATED} from {read_parquet(files)} where {until}", _seen(until), snapshots, hidden)


def view_table(events: pa.Table, until: str, snapshots: Snapshots, hidden: Hidden = nothing_hidden) -> LogView:
    """`events`: rows of schema.EVENTS."""
    return LogView(f"select {_PLACED} from recorded_events where {until}", _seen(until), snapshots, hidden, {"recorded_events": events})


def kept_snapshots(source: str, shard: str) -> str:
    """Those of these rows that are kept; `shard`: an expression for it."""
    return f"select * from (select {', '.join(SNAPSHOTS.names)}, {shard} as shard from {source} {_ONCE}) {_KEPT}"


def until(as_of: int | datetime | None, head: int) -> str:
    """The condition on `events` for a state: up to a position, or up to an aware time."""
    match as_of:
        case None:
            return f"position <= {head}"
        case bool():
            pass
        case int() if as_of >= 0:
            return f"position <= {min(as_of, head)}"
        case datetime() if as_of.tzinfo is not None:
            return f"position <= {head} and recorded_at <= timestamptz {quoted(as_of.isoformat())}"
    raise InvalidEventError("as_of", as_of, "is no place in the log", "give a position from 0, or a datetime with a time zone")


def _seen(until: str) -> str:
    """A snapshot has no time of its event."""
    return "position <= (select coalesce(max(position), 0) from events)" if "recorded_at" in until else until

"""A DuckDB for queries of one grant: in it there is what is granted and nothing else, no file, no name, no definition."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import duckdb
import pyarrow as pa

from store.grants.grant import Grant
from store.grants.granted_rows import GrantedRows, Scans
from store.grants.granted_sql import events_of, rows_of
from store.macros import granted_macros
from store.parquet_sql import read_parquet
from store.schema import EVENTS
from store.snapshots.snapshot import SNAPSHOTS
from store.sql import LOCATED, SHARD, VISIBLE, Asked, Hidden, Snapshots, SqlSession, Tables, kept_snapshots, nothing_hidden
from store.sql_guard import Guard

_LOG = ", ".join(EVENTS.names)


class GrantedSession:
    """Like `SqlSession`, of which it needs one that may read the warehouse; queries see the answers of that one, never the session."""

    def __init__(self, grant: Grant, limits: Guard, reading: SqlSession) -> None:
        """`limits`: of the queries; it allows no place."""
        self._grant, self._reading = grant, reading
        self._session = SqlSession(None, limits)

    def cursor(self) -> duckdb.DuckDBPyConnection:
        return self._session.cursor()

    def query_files(
        self,
        files: Sequence[str],
        query: str,
        params: Any,
        until: str,
        snapshots: Snapshots,
        tables: Tables | None = None,
        hidden: Hidden = nothing_hidden,
    ) -> Asked:
        located = f"select {LOCATED} from {read_parquet(files)} where {until}"
        return self._query(located, {}, query, params, until, snapshots, tables, hidden)

    def query_located(
        self,
        located: str,
        query: str,
        params: Any,
        until: str,
        snapshots: Snapshots,
        tables: Tables | None = None,
        hidden: Hidden = nothing_hidden,
    ) -> Asked:
        return self._query(located, {}, query, params, until, snapshots, tables, hidden)

    def query_table(
        self,
        events: pa.Table,
        query: str,
        params: Any,
        until: str,
        snapshots: Snapshots,
        tables: Tables | None = None,
        hidden: Hidden = nothing_hidden,
    ) -> Asked:
        located = f"select {_LOG}, 'h' as shard, position as first_position, position as last_position from recorded_events where {until}"
        return self._query(located, {"recorded_events": events}, query, params, until, snapshots, tables, hidden)

    def close(self) -> None:
        self._session.close()

    def _query(
        self,
        located: str,
        given: Mapping[str, pa.Table],
        query: str,
        params: Any,
        until: str,
        snapshots: Snapshots,
        tables: Tables | None,
        hidden: Hidden,
    ) -> Asked:
        """What its stream hides is hidden from others altogether, in `events` too, from the beginning."""
        if (cuts := hidden()) is not None:
            located, given = VISIBLE.format(located), {**given, "hidden_versions": cuts}
        grant, tables = self._grant, {name: source for name, source in (tables or {}).items() if name in self._grant.tables}
        if "snapshots" in grant.tables and "snapshots" in query.lower():
            source, there = _snapshots(located, until, snapshots)
            tables, given = {**tables, "snapshots": source}, {**given, **there}
        # By names that nobody gives a table.
        called = {name: f"given_rows_{number}" for number, name in enumerate(tables) if isinstance(tables[name], pa.Table)}
        given = {**given, **{called[name]: rows for name, rows in tables.items() if isinstance(rows, pa.Table)}}

        def opened() -> duckdb.DuckDBPyConnection:
            connection = self._reading.cursor()
            for name, rows in given.items():
                connection.register(name, rows)
            return connection

        asking = self._session.cursor()
        scans = Scans(asking, opened)
        self._add_events(asking, scans, located)
        for name, source in tables.items():
            self._add_table(asking, scans, name, source if isinstance(source, str) else f"from {called[name]}")
        return Asked(asking.sql(query, params=params), scans)

    def _add_events(self, asking: duckdb.DuckDBPyConnection, scans: Scans, located: str) -> None:
        columns = self._grant.granted_columns
        if not columns:
            return
        schema = pa.schema([EVENTS.field(name) for name in columns])
        asking.register("events", GrantedRows(scans, events_of(self._grant, located), schema, is_log=True))
        for called, selected in granted_macros(columns).items():
            asking.execute(f"create temp macro {called} as table {selected}")

    def _add_table(self, asking: duckdb.DuckDBPyConnection, scans: Scans, name: str, source: str) -> None:
        select = rows_of(self._grant, name, scans.schema(source).names, source)
        asking.register(name, GrantedRows(scans, select, scans.schema(select)))


def _snapshots(located: str, until: str, snapshots: Snapshots) -> tuple[str, Mapping[str, pa.Table]]:
    """A select of those of events that the query can see, and the rows that it reads by name."""
    seen = "position <= (select coalesce(max(position), 0) from events)" if "recorded_at" in until else until
    there = snapshots()
    if isinstance(there, pa.Table) or not there:
        rows = there if isinstance(there, pa.Table) else SNAPSHOTS.empty_table()
        kept, given = kept_snapshots("kept_snapshots", "'h'"), {"kept_snapshots": rows}
    else:
        kept, given = kept_snapshots(read_parquet(there), SHARD), {}
    return f"with events as ({located}) select * exclude (shard) from ({kept}) where {seen}", given

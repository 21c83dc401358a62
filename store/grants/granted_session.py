"""A DuckDB for queries of one grant: in it there is what is granted and nothing else, no file, no name, no definition."""

from __future__ import annotations

from typing import Any

import duckdb
import pyarrow as pa

from store.grants.grant import Grant
from store.grants.granted_rows import GrantedRows, Scans
from store.grants.granted_sql import events_of, rows_of
from store.log_view import VISIBLE, LogView
from store.macros import granted_macros
from store.schema import EVENTS
from store.sql import Asked, SqlSession, Tables
from store.sql_guard import Guard


class GrantedSession:
    """Like `SqlSession`, of which it needs one that may read the warehouse; queries see the answers of that one, never the session."""

    def __init__(self, grant: Grant, limits: Guard, reading: SqlSession) -> None:
        """`limits`: of the queries; it allows no place."""
        self._grant, self._reading = grant, reading
        self._session = SqlSession(None, limits)

    def cursor(self) -> duckdb.DuckDBPyConnection:
        return self._session.cursor()

    def query(self, view: LogView, query: str, params: Any, tables: Tables | None = None) -> Asked:
        """What its stream hides is hidden from others altogether, in `events` too, from the beginning."""
        located, given = view.located, dict(view.rows)
        if (cuts := view.hidden()) is not None:
            located, given["hidden_versions"] = VISIBLE.format(located), cuts
        grant, tables = self._grant, {name: source for name, source in (tables or {}).items() if name in self._grant.tables}
        if "snapshots" in grant.tables and "snapshots" in query.lower():
            select, rows = view.kept_snapshots()
            # Of a stream that hides events none is shown, as it may be of a state that these events made.
            shown = "true" if cuts is None else "stream_id not in (select stream_id from hidden_versions)"
            tables["snapshots"] = f"with events as ({located}) select * exclude (shard) from ({select}) where {shown}"
            given |= rows
        # By names that nobody gives a table.
        called = {name: f"given_rows_{number}" for number, name in enumerate(tables) if isinstance(tables[name], pa.Table)}
        given |= {called[name]: rows for name, rows in tables.items() if isinstance(rows, pa.Table)}

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

    def close(self) -> None:
        self._session.close()

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

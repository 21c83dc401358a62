"""DuckDB over the log: one session, a fresh view of `events`, and one of `snapshots`, for every query."""

from __future__ import annotations

import threading
from collections.abc import Collection, Mapping
from typing import Any, NamedTuple, Protocol, TypeAlias

import duckdb
import pyarrow as pa

from store.decrypt_sql import NAME, Decrypts, add_decrypt
from store.log_view import VISIBLE, LogView
from store.macros import COLUMNS, called_in
from store.sql_guard import Guard

Tables: TypeAlias = "Mapping[str, pa.Table | str]"
"""Further tables of a query, by name: rows, or a select that gives them."""


class Asked(NamedTuple):
    """A query, and by what it can be interrupted: its own connection, for one. It runs when its rows are fetched."""

    relation: duckdb.DuckDBPyRelation
    connection: Interruptible


class Interruptible(Protocol):
    """What runs a query."""

    def interrupt(self) -> None: ...


class Session(Protocol):
    """A DuckDB over the log: all of it, or what somebody was granted of it. See `SqlSession`."""

    def cursor(self) -> duckdb.DuckDBPyConnection: ...

    def query(self, view: LogView, query: str, params: Any, tables: Tables | None = None) -> Asked: ...

    def close(self) -> None: ...


class SqlSession:
    """An in-memory DuckDB. Every query gets a connection of its own, so that a query sees one state of the log."""

    def __init__(self, filesystem: Any = None, guard: Guard | None = None, decrypts: Decrypts | None = None) -> None:
        """`guard`: what queries of others must keep to. `decrypts`: what `decrypt` in a query does; None: there is no such function."""
        self._database = duckdb.connect(config={} if guard is None else {"python_enable_replacements": False})
        self._database.execute("set global TimeZone = 'UTC'")
        self._database.execute("set global parquet_metadata_cache = true")     # a file of ours never changes
        if filesystem is not None:
            self._database.register_filesystem(filesystem)
        if guard is not None:
            guard.lock(self._database)
        self._lock, self._decrypts = threading.Lock(), decrypts

    def cursor(self) -> duckdb.DuckDBPyConnection:
        return self._database.cursor()

    def query(self, view: LogView, query: str, params: Any, tables: Tables | None = None) -> Asked:
        connection = self._database.cursor()
        self._add_events(connection, view, query)
        self._add_decrypt(query, tables)
        self._add_snapshots(connection, view, query)
        for name, source in (tables or {}).items():
            if isinstance(source, str):
                connection.execute(f'create temp view "{name}" as {source}')
            else:
                connection.register(name, source)
        return Asked(connection.sql(query, params=params), connection)

    def close(self) -> None:
        self._database.close()

    def _add_events(self, connection: duckdb.DuckDBPyConnection, view: LogView, query: str) -> None:
        """Only what it may name: each view costs the planning of it, which is most of what a small query takes."""
        for name, rows in view.rows.items():
            connection.register(name, rows)
        macros = called_in(query)
        of_streams = "visible_events" in query.lower() or any("visible_events" in selected for selected in macros.values())
        if macros or of_streams:
            connection.execute(f"create temp view located_events as {view.located}")
        if of_streams:
            _add_visible(connection, view.hidden())
        for called, selected in macros.items():
            connection.execute(f"create temp macro {called} as table {selected}")
        if "events" in query.lower() or "snapshots" in query.lower():          # which are those of events that can be seen
            connection.execute(f"create temp view events as select {COLUMNS} from ({view.located})")

    def _add_decrypt(self, query: str, tables: Tables | None) -> None:
        """When it is first called, since it takes a while."""
        with self._lock:
            called = any(NAME in text.lower() for text in (query, *(tables or {}).values()) if isinstance(text, str))
            if called and self._decrypts is not None:
                add_decrypt(self._database, self._decrypts)
                self._decrypts = None

    def _add_snapshots(self, connection: duckdb.DuckDBPyConnection, view: LogView, query: str) -> None:
        if not asked_for(self._database.cursor(), query, ["snapshots"]):
            return
        select, rows = view.kept_snapshots()
        for name, given in rows.items():
            connection.register(name, given)
        connection.execute(f"create temp view snapshots as {select}")


def _add_visible(connection: duckdb.DuckDBPyConnection, hidden: pa.Table | None) -> None:
    if hidden is None:
        connection.execute(f"create temp view visible_events as select {COLUMNS} from located_events")
        return
    connection.register("hidden_versions", hidden)
    connection.execute(f"create temp view visible_events as select {COLUMNS} from ({VISIBLE.format('from located_events')})")


def asked_for(connection: duckdb.DuckDBPyConnection, query: str, names: Collection[str]) -> set[str]:
    """Those of these tables that the query can be about. Only they are made: none must be in the way of any other query.

    `connection`: one that has none of them yet.
    """
    said = {name for name in names if name in query.lower()}
    if not said:
        return said
    for called in called_in(query):
        connection.execute(f"create or replace temp macro {called} as table select 1")
    try:
        return said & {name.lower() for name in connection.get_table_names(query)}
    except duckdb.Error:                           # it takes one statement at a time, and knows no tables that the query itself makes
        return said

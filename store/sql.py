"""DuckDB over the log: one session, a fresh view of `events`, and one of `snapshots`, for every query."""

from __future__ import annotations

import threading
from collections.abc import Callable, Collection, Mapping, Sequence
from datetime import datetime
from typing import Any, NamedTuple, Protocol, TypeAlias

import duckdb
import pyarrow as pa

from store.decrypt_sql import NAME, Decrypts, add_decrypt
from store.errors import InvalidEventError
from store.macros import COLUMNS, called_in
from store.parquet_sql import quoted, read_parquet
from store.schema import EVENTS
from store.snapshots.snapshot import SNAPSHOTS
from store.sql_guard import Guard

Snapshots: TypeAlias = "Callable[[], Sequence[str] | pa.Table]"
"""Gives their Parquet files, or their rows. It is called only for a query that asks for them."""
Hidden: TypeAlias = "Callable[[], pa.Table | None]"
"""Gives the versions up to which streams hide events, by columns stream_id and hidden; None: none does. It is called only for a query of streams."""
Tables: TypeAlias = "Mapping[str, pa.Table | str]"
"""Further tables of a query, by name: rows, or a select that gives them."""

_LOG = ", ".join(EVENTS.names)
_POSITIONS = "try_cast(regexp_extract(filename, '/([0-9]+)-([0-9]+)-[^/]*$', {}) as bigint)"     # what may fail is not put before a join
SHARD = "regexp_extract(filename, '/shard=(h[0-9a-f]*)/[^/]*$', 1)"
LOCATED = f"{_LOG}, {SHARD} as shard, {_POSITIONS.format(1)} as first_position, {_POSITIONS.format(2)} as last_position"
"""The columns of `located_events` out of a file, whose name tells its shard, and between which positions it holds events."""

_HIDDEN = "exists (from hidden_versions cut where cut.stream_id = event.stream_id and event.version <= cut.hidden)"
VISIBLE = f"select * from ({{}}) event where not {_HIDDEN}"
"""Of a select of events those that their streams show, by the rows of `hidden_versions`."""
_ONCE = "qualify row_number() over (partition by stream_id, aggregate, version, schema_version order by taken_at desc) = 1"
_OWNER = "partition by stream_id, aggregate order by version desc, taken_at desc"
_KEPT = f"qualify row_number() over ({_OWNER}) <= first_value(keep) over ({_OWNER})"
"""Which snapshots are kept, as `arranged` says it: files hold others until they are merged."""


def nothing_hidden() -> None:
    """Every event of every stream can be seen."""


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

    def query_files(
        self, files: Sequence[str], query: str, params: Any, until: str, snapshots: Snapshots, tables: Tables | None = None, hidden: Hidden = ...
    ) -> Asked: ...

    def query_located(
        self, located: str, query: str, params: Any, until: str, snapshots: Snapshots, tables: Tables | None = None, hidden: Hidden = ...
    ) -> Asked: ...

    def query_table(
        self, events: pa.Table, query: str, params: Any, until: str, snapshots: Snapshots, tables: Tables | None = None, hidden: Hidden = ...
    ) -> Asked: ...

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
        """`files`: every live Parquet file of the log. `until`: a condition on `events`. `snapshots`: all that there are."""
        return self.query_located(f"select {LOCATED} from {read_parquet(files)} where {until}", query, params, until, snapshots, tables, hidden)

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
        """`located`: a select of the columns of `located_events`. `until`: a condition on `snapshots`, or on the events, that is theirs too."""
        connection = self._database.cursor()
        self._add_events(connection, located, query, hidden)
        return self._query(connection, query, params, until, snapshots, tables)

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
        connection = self._database.cursor()
        connection.register("recorded_events", events)
        places = "'h' as shard, position as first_position, position as last_position"
        self._add_events(connection, f"select {_LOG}, {places} from recorded_events where {until}", query, hidden)
        return self._query(connection, query, params, until, snapshots, tables)

    def close(self) -> None:
        self._database.close()

    def _add_events(self, connection: duckdb.DuckDBPyConnection, located: str, query: str, hidden: Hidden) -> None:
        """Only what it may name: each view costs the planning of it, which is most of what a small query takes."""
        macros = called_in(query)
        of_streams = "visible_events" in query.lower() or any("visible_events" in selected for selected in macros.values())
        if macros or of_streams:
            connection.execute(f"create temp view located_events as {located}")
        if of_streams:
            _add_visible(connection, hidden())
        for called, selected in macros.items():
            connection.execute(f"create temp macro {called} as table {selected}")
        if "events" in query.lower() or "snapshots" in query.lower():          # which are those of events that can be seen
            connection.execute(f"create temp view events as select {COLUMNS} from ({located})")

    def _query(
        self, connection: duckdb.DuckDBPyConnection, query: str, params: Any, until: str, snapshots: Snapshots, tables: Tables | None
    ) -> Asked:
        self._add_decrypt(query, tables)
        self._add_snapshots(connection, snapshots, query, until)
        for name, source in (tables or {}).items():
            if isinstance(source, str):
                connection.execute(f'create temp view "{name}" as {source}')
            else:
                connection.register(name, source)
        return Asked(connection.sql(query, params=params), connection)

    def _add_decrypt(self, query: str, tables: Tables | None) -> None:
        """When it is first called, since it takes a while."""
        with self._lock:
            called = any(NAME in text.lower() for text in (query, *(tables or {}).values()) if isinstance(text, str))
            if called and self._decrypts is not None:
                add_decrypt(self._database, self._decrypts)
                self._decrypts = None

    def _add_snapshots(self, connection: duckdb.DuckDBPyConnection, snapshots: Snapshots, query: str, until: str) -> None:
        """Those of events that the query can see. One that was taken at a later event is of a state to come."""
        if not asked_for(self._database.cursor(), query, ["snapshots"]):
            return
        seen = "position <= (select coalesce(max(position), 0) from events)" if "recorded_at" in until else until
        there = snapshots()
        if isinstance(there, pa.Table) or not there:
            connection.register("kept_snapshots", there if isinstance(there, pa.Table) else SNAPSHOTS.empty_table())
            source, shard = "kept_snapshots", "'h'"
        else:
            source, shard = read_parquet(there), SHARD
        connection.execute(f"create temp view snapshots as select * from ({kept_snapshots(source, shard)}) where {seen}")


def _add_visible(connection: duckdb.DuckDBPyConnection, hidden: pa.Table | None) -> None:
    if hidden is None:
        connection.execute(f"create temp view visible_events as select {COLUMNS} from located_events")
        return
    connection.register("hidden_versions", hidden)
    connection.execute(f"create temp view visible_events as select {COLUMNS} from ({VISIBLE.format('from located_events')})")


def kept_snapshots(source: str, shard: str) -> str:
    """Those of these rows that are kept; `shard`: an expression for it."""
    return f"select * from (select {', '.join(SNAPSHOTS.names)}, {shard} as shard from {source} {_ONCE}) {_KEPT}"


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

"""The DuckDBs of one store: one for its own queries, and one for each set of limits that queries of others must keep to."""

from __future__ import annotations

import threading
from typing import Any, Protocol

import duckdb
import pyarrow as pa

from store.decrypt_sql import Decrypts
from store.event_store import AsOf
from store.sql import Asked, SqlSession, Tables
from store.sql_guard import Guard, SqlLimits


class Asks(Protocol):
    """A store's way to put a query to a session, over its events at one place."""

    def __call__(self, session: SqlSession, query: str, params: Any, as_of: AsOf | None, tables: Tables | None) -> Asked: ...


class SqlSessions:
    """Each is begun when it is first asked. Safe to use from many threads at once."""

    def __init__(self, asks: Asks, decrypts: Decrypts, place: str | None = None, filesystem: Any = None) -> None:
        """`decrypts`: for the store's own queries. `place`: of the warehouse, which queries of others do not leave; None: in memory."""
        self._asks, self._decrypts, self._place, self._filesystem = asks, decrypts, place, filesystem
        self._lock = threading.Lock()
        self._sessions: dict[Guard | None, SqlSession] = {}

    def sql(self, query: str, params: Any, as_of: AsOf | None, tables: Tables | None) -> duckdb.DuckDBPyRelation:
        return self._asks(self._session(None), query, params, as_of, tables).relation

    def ask(self, query: str, params: Any, as_of: AsOf | None, tables: Tables | None, limits: SqlLimits) -> pa.Table:
        guard = Guard(self._place, limits)
        session = self._session(guard)
        guard.check(session.cursor(), query)
        return guard.answer(*self._asks(session, query, params, as_of, tables))

    def close(self) -> None:
        for session in self._sessions.values():
            session.close()

    def _session(self, guard: Guard | None) -> SqlSession:
        with self._lock:
            if guard not in self._sessions:
                self._sessions[guard] = SqlSession(self._filesystem, guard, self._decrypts if guard is None else None)
            return self._sessions[guard]

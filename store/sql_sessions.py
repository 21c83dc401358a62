"""The DuckDBs of one store: one for its own queries, and one for each set of limits that queries of others must keep to."""

from __future__ import annotations

import threading
from typing import Any, Final, Protocol

import duckdb
import pyarrow as pa

from store.decrypt_sql import Decrypts
from store.event_store import AsOf
from store.grants.grant import Grant
from store.grants.granted_rows import Scans, unread
from store.grants.granted_session import GrantedSession
from store.sql import Asked, Session, SqlSession, Tables
from store.sql_guard import Guard, SqlLimits

GRANTS: Final = 64
"""So many grants at most have a DuckDB at hand; each takes some ten milliseconds to begin, and a few megabytes."""


class Asks(Protocol):
    """A store's way to put a query to a session, over its events at one place."""

    def __call__(self, session: Session, query: str, params: Any, as_of: AsOf | None, tables: Tables | None) -> Asked: ...


class SqlSessions:
    """Each is begun when it is first asked. Safe to use from many threads at once."""

    def __init__(self, asks: Asks, decrypts: Decrypts, place: str | None = None, filesystem: Any = None) -> None:
        """`decrypts`: for the store's own queries. `place`: of the warehouse, which queries of others do not leave; None: in memory."""
        self._asks, self._decrypts, self._place, self._filesystem = asks, decrypts, place, filesystem
        self._lock = threading.Lock()
        self._sessions: dict[Guard | None, SqlSession] = {}
        self._grants: dict[tuple[object, Guard], GrantedSession] = {}

    def sql(self, query: str, params: Any, as_of: AsOf | None, tables: Tables | None) -> duckdb.DuckDBPyRelation:
        return self._asks(self._session(None), query, params, as_of, tables).relation

    def ask(self, query: str, params: Any, as_of: AsOf | None, tables: Tables | None, limits: SqlLimits, grant: Grant | None = None) -> pa.Table:
        guard = Guard(self._place, limits)
        session = self._session(guard) if grant is None else self._granted(grant, guard)
        guard.check(session.cursor(), query)
        if grant is None:
            relation, connection = self._asks(session, query, params, as_of, tables)
            return guard.answer(relation, connection.interrupt)
        return self._answer(guard, self._asks(session, query, params, as_of, tables))

    def close(self) -> None:
        for granted in self._grants.values():
            granted.close()
        for session in self._sessions.values():
            session.close()

    def _session(self, guard: Guard | None) -> SqlSession:
        with self._lock:
            if guard not in self._sessions:
                self._sessions[guard] = SqlSession(self._filesystem, guard, self._decrypts if guard is None else None)
            return self._sessions[guard]

    def _granted(self, grant: Grant, guard: Guard) -> GrantedSession:
        reading, key = self._session(guard), (grant.key, guard)
        with self._lock:
            if key not in self._grants:
                while len(self._grants) >= GRANTS:
                    del self._grants[next(iter(self._grants))]               # it closes when no query is under way in it
                self._grants[key] = GrantedSession(grant, Guard(None, guard.limits), reading)
            return self._grants[key]

    def _answer(self, guard: Guard, asked: Asked) -> pa.Table:
        """What goes wrong in reading the granted part is ours to know."""
        scans = asked.connection
        assert isinstance(scans, Scans)
        late = threading.Event()

        def interrupt() -> None:
            late.set()
            scans.interrupt()

        try:
            return guard.answer(asked.relation, interrupt)
        except duckdb.Error:
            if late.is_set():
                raise guard.too_long() from None
            if isinstance(scans.failure, duckdb.OutOfMemoryException):
                raise guard.too_much() from None
            if scans.failure is not None:
                raise unread(scans.failure) from scans.failure
            raise
        finally:
            scans.close()

"""What is the same of every open store: the verbs beside its log, and how it ends."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from types import TracebackType
from typing import Any, Self

import duckdb
import pyarrow as pa

from store.aio import AsyncEventStore
from store.append import Append, Appended
from store.audit.audit import Audit
from store.deciding.deciding import Deciding
from store.draft import Draft
from store.erasing import erasing
from store.event import Event
from store.event_store import AsOf
from store.expected import ANY, ExpectedVersion
from store.grants.grant import Grant
from store.intake import Intake
from store.privacy.confidant import Confidant
from store.query import Query
from store.retention.retention import Retention
from store.sql import Tables
from store.sql_guard import LIMITS, SqlLimits
from store.sql_sessions import SqlSessions


class Handle(ABC):
    """A store gives these parts to it as it opens; see `EventStore` for the verbs."""

    _intake: Intake
    _sessions: SqlSessions
    _aio: AsyncEventStore
    _deciding: Deciding
    _retention: Retention
    _privacy: Confidant
    _audit: Audit

    @abstractmethod
    def _check_open(self) -> None:
        """StoreClosedError: it is closed."""

    @abstractmethod
    def _append(self, parts: Sequence[Draft], fail_if: Query | None, after: int) -> list[Appended]:
        """Durably, all or nothing."""

    @abstractmethod
    def close(self) -> None: ...

    def append(
        self, stream_id: str, events: Sequence[Event], expected_version: ExpectedVersion = ANY, fail_if: Query | None = None, after: int = 0
    ) -> Appended:
        return self._append([self._intake.draft(stream_id, events, expected_version)], fail_if, after)[0]

    def append_many(self, appends: Sequence[Append], fail_if: Query | None = None, after: int = 0) -> list[Appended]:
        parts = self._intake.drafts(appends)
        return self._append(parts, fail_if, after) if parts or fail_if is not None or after else []

    def sql(
        self, query: str, params: Sequence[Any] | dict[str, Any] | None = None, as_of: AsOf | None = None, *, tables: Tables | None = None
    ) -> duckdb.DuckDBPyRelation:
        self._check_open()
        return self._sessions.sql(query, params, as_of, tables)

    def ask(
        self,
        query: str,
        params: Sequence[Any] | dict[str, Any] | None = None,
        as_of: AsOf | None = None,
        *,
        tables: Tables | None = None,
        limits: SqlLimits = LIMITS,
        grant: Grant | None = None,
    ) -> pa.Table:
        self._check_open()
        return self._sessions.ask(query, params, as_of, tables, limits, grant)

    erase = erasing.erase

    @property
    def retention(self) -> Retention:
        self._check_open()
        return self._retention

    @property
    def aio(self) -> AsyncEventStore:
        return self._aio

    @property
    def deciding(self) -> Deciding:
        self._check_open()
        return self._deciding

    @property
    def audit(self) -> Audit:
        self._check_open()
        return self._audit

    @property
    def privacy(self) -> Confidant:
        self._check_open()
        return self._privacy

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()

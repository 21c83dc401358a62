"""The reference implementation: the whole contract in one process's memory. Also the fake for tests."""

from __future__ import annotations

import threading
from bisect import bisect_right
from collections.abc import Callable, Collection, Sequence
from datetime import datetime
from typing import Any

import pyarrow as pa

from store.aio import AsyncEventStore
from store.append import Appended, TableAppended
from store.audit.audit import Audit
from store.bulk import Bulk
from store.condition import Condition, check_condition
from store.contract import Contract
from store.deciding.deciding import Deciding
from store.deciding.decision import refuse_in_decision
from store.draft import Draft, Row, instant
from store.errors import StoreClosedError, StoreError
from store.event_store import AsOf
from store.handle import Handle
from store.intake import Intake
from store.log_size import LogSize
from store.log_view import until, view_table
from store.memory_ledger import MemoryLedger
from store.memory_log import MemoryLog
from store.observer import Guarded, LoggingObserver
from store.privacy.confidant import Confidant
from store.privacy.privacy import Privacy
from store.query import Query
from store.reading import check_range
from store.retention.archived import Archived
from store.retention.retention import Retention
from store.retention.ruled import Ruled
from store.retention.standing import Standing
from store.rewrite import Rewrite, Rewritten
from store.schema import GIVEN
from store.selection import Selection
from store.snapshots.memory import MemorySnapshots
from store.sql import Asked, Session, Tables
from store.sql_sessions import SqlSessions
from store.submits import Answer
from store.subscription import Bell, LogSubscription
from store.times import Clock, now
from store.verdict import judge, judge_bulk


class MemoryEventStore(Handle):
    """A list of rows, and one lock."""

    def __init__(self, clock: Clock = now, contract: Contract | None = None, privacy: Privacy | None = None) -> None:
        self._clock, self._intake = clock, Intake(contract, privacy)
        self._lock = threading.RLock()
        self._log = MemoryLog()
        self._bell = Bell()
        self._privacy = Confidant(self, self._intake.seals)
        self._sessions = SqlSessions(self._asked, self._privacy.open_texts)
        self._snapshots = MemorySnapshots()
        check = self._check_open
        log = self._log
        self._retention = Retention(
            self,
            Ruled(
                self, check, check, lambda: log.policy, self._standing, clock, self, lambda: self.log_id, lambda: log.head,
                lambda stream_ids: [log.version(stream_id) for stream_id in stream_ids],
            ),
        )
        self._ledger = MemoryLedger(self._events)
        self._audit = Audit(self, lambda: [self._ledger])
        self._aio = AsyncEventStore(self, self._intake)
        self._deciding = Deciding(self, Guarded(LoggingObserver()), clock, self._intake)
        self._closed = False

    # The contract ---------------------------------------------------------------------------------------------

    def append_table(self, events: pa.Table) -> TableAppended:
        refuse_in_decision()
        given = self._intake.bulk(events)
        with self._lock:
            self._check_open()
            if (repeat := judge_bulk(self._log.find_events, given, self._log.terms)) is not None:
                return repeat
            first = self._log.head + 1
            self._log.add(_rows(given), self._clock())
            self._bell.ring()
            return TableAppended(first, self._log.head)

    def submit(self, parts: Sequence[Draft], answered: Callable[[Answer], None], fail_if: Query | None = None, after: int = 0) -> None:
        try:
            answered(self._append(parts, fail_if, after))
        except StoreError as error:
            answered(error)

    def read_stream(self, stream_id: str, after: int = 0, limit: int | None = None, backward: bool = False) -> pa.Table:
        check_range(after, limit)
        with self._lock:
            self._check_open()
            positions = self._log.positions(stream_id)[max(after, self._standing(stream_id).hidden) :]
            return self._log.events((positions[::-1] if backward else positions)[:limit])

    def read_all(
        self,
        after: int = 0,
        until: int | None = None,
        limit: int | None = None,
        types: Sequence[str] | None = None,
        categories: Sequence[str] | None = None,
        tags: Sequence[str] | None = None,
        backward: bool = False,
        query: Query | None = None,
        shards: Sequence[str] | None = None,
    ) -> pa.RecordBatchReader:
        check_range(after, limit)
        events = Selection(after, until, types, categories, tags, query, shards).filter(self._events())
        if backward:
            events = events.take(pa.array(range(len(events) - 1, -1, -1), pa.int64()))
        return events.slice(0, limit).to_reader(max_chunksize=65_536)

    def subscribe(
        self,
        after: int = 0,
        types: Sequence[str] | None = None,
        categories: Sequence[str] | None = None,
        tags: Sequence[str] | None = None,
        query: Query | None = None,
    ) -> LogSubscription:
        check_range(after, None)
        return LogSubscription(self.head, lambda a, u: self.read_all(a, u, None, types, categories, tags, query=query), self._bell, after)

    def head(self) -> int:
        self._check_open()
        return self._log.head

    def position_at(self, time: datetime) -> int:
        self._check_open()
        return self._log.recorded_by(instant("time", time))

    def version_at(self, stream_id: str, position: int) -> int:
        with self._lock:
            self._check_open()
            version = bisect_right(self._log.positions(stream_id), position)
            return 0 if self._is_gone(stream_id) else version

    def size(self) -> LogSize:
        events = self._events()
        return LogSize(len(events), 0, events.nbytes, -1)

    def stream_version(self, stream_id: str) -> int:
        self._check_open()
        return 0 if self._is_gone(stream_id) else self._log.version(stream_id)

    def erasable(self) -> dict[str, MemoryEventStore]:
        return {"h": self}

    def announce(self) -> None: ...

    def purge(self) -> list[str]:
        return []

    warehouse = None

    @property
    def log_id(self) -> str:
        return self._ledger.log

    @property
    def events(self) -> MemoryEventStore:
        """Itself: it has one log, and no files."""
        return self

    def find(self, what: Rewrite) -> pa.Table:
        """Which events that would change, with the columns that it is told."""
        with self._lock:
            self._check_open()
            return self._log.find_changed(what)

    def worn(self, what: Rewrite, share: float) -> None:
        """There are no files, and it costs little to rewrite some of all events."""

    def archive(self, streams: Collection[str], share: float, dry_run: bool) -> Sequence[Archived]:
        """There are no files to be moved."""
        return ()

    def rewrite(self, what: Rewrite, about: Callable[[pa.Table], None] = lambda touched: None) -> Rewritten:
        """Let some events say less from now on. `about`: told of them before."""
        with self._lock:
            if len(touched := self.find(what)):
                about(touched)
                self._log.rewrite(what)
        self._deciding.forget()
        return Rewritten(None, touched)

    def _asked(self, session: Session, query: str, params: Any, as_of: AsOf | None, tables: Tables | None) -> Asked:
        events = self._events()
        view = view_table(events, until(as_of, len(events)), self._snapshots.table, self._retention.hidden)
        return session.query(view, query, params, tables)

    @property
    def snapshots(self) -> MemorySnapshots:
        self._check_open()
        return self._snapshots

    def close(self) -> None:
        self._aio.close()
        self._deciding.close()
        self._closed = True
        self._bell.ring()
        self._sessions.close()

    # Below ----------------------------------------------------------------------------------------------------

    def _append(self, parts: Sequence[Draft], fail_if: Query | None, after: int) -> list[Appended]:
        refuse_in_decision()
        with self._lock:
            self._check_open()
            check_condition(fail_if, after, self._log.head)
            condition = None if fail_if is None else Condition(fail_if, after, after)
            if (repeat := judge(self._log, parts, condition)) is not None:
                return repeat
            answers = self._log.add_all(parts, self._clock())
            self._bell.ring()
            return answers

    def _standing(self, stream_id: str) -> Standing:
        with self._lock:
            self._check_open()
            terms, version = self._log.policy.of(stream_id), self._log.version(stream_id)
            return Standing.of(terms, version, lambda moment: self._log.version_by(stream_id, moment), self._clock())

    def _is_gone(self, stream_id: str) -> bool:
        standing = self._standing(stream_id)
        return standing.terms is not None and standing.terms.gone(standing.version)

    def _events(self) -> pa.Table:
        with self._lock:
            self._check_open()
            return self._log.events(range(1, self._log.head + 1))

    def _check_open(self) -> None:
        if self._closed:
            raise StoreClosedError("this memory store is closed: make a new one")


def _rows(given: Bulk) -> list[Row]:
    columns = [given.table[name].to_pylist() for name in GIVEN]
    columns[4] = given.table["occurred_at"].cast(pa.int64()).to_pylist()
    return list(zip(*columns, strict=True))

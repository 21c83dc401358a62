"""The contract of an event store, in words. `MemoryEventStore` is its reference, `store.delta` the real thing."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime
from types import TracebackType
from typing import TYPE_CHECKING, Any, Protocol, Self

import pyarrow as pa

from store.append import Append, Appended, TableAppended
from store.event import Event
from store.expected import ANY, ExpectedVersion
from store.log_size import LogSize
from store.query import Query
from store.snapshots.snapshots import Snapshots

if TYPE_CHECKING:
    import duckdb

    from store.aio import AsyncEventStore
    from store.audit.audit import Audit
    from store.deciding.deciding import Deciding
    from store.erasing.erasure import Erasure
    from store.erasing.erasure_report import ErasureReport
    from store.grants.grant import Grant
    from store.privacy.confidant import Confidant
    from store.retention.retention import Retention
    from store.sql import Tables
    from store.sql_guard import SqlLimits

AsOf = int | datetime
"""A position, or an aware datetime, which means the last position recorded by then."""


class EventStore(Protocol):
    """Streams of events in one totally ordered log. Safe to use from many threads at once."""

    def append(
        self, stream_id: str, events: Sequence[Event], expected_version: ExpectedVersion = ANY, fail_if: Query | None = None, after: int = 0
    ) -> Appended:
        """Append all events to one stream, or none. Durable when it returns.

        An exact version or NO_STREAM always recognises a repeat (the same ids at the same place) and returns
        the first answer; ANY and STREAM_EXISTS compare with the stream's last 1,000 events. Without events
        only the expectation is checked.

        `fail_if`, `after`: refused if any event past position `after` matches the query, whoever appended it. Read by the query first; the
        head at that time is what to give as `after`. A repeat gets the first answer, though its own events may match now.

        InvalidEventError: mend the input. WrongExpectedVersionError: load and decide again.
        ConditionFailedError: read on from `after` and decide again. DuplicateEventError: some ids are in the stream already.
        OutcomeUnknownError: append the same again. StreamEndedError: it was closed or tombstoned.
        """

    def append_many(self, appends: Sequence[Append], fail_if: Query | None = None, after: int = 0) -> list[Appended]:
        """The same over several streams, atomically; every failing check is reported at once. One answer a part.

        The condition is that of the whole; without any part only the condition is checked.
        """

    def append_table(self, events: pa.Table) -> TableAppended:
        """Append every row, in row order, or none. No expectation or condition is checked; conditions of others see its events.

        Columns: stream_id, type, data (string; data is JSON text of an object); and, if wanted, event_id (string),
        schema_version (int), occurred_at (timestamp with time zone), correlation_id, causation_id, metadata
        (string), tags (list of string). With event_ids a repeated table is recognised, in whatever size it is.
        """

    def read_stream(self, stream_id: str, after: int = 0, limit: int | None = None, backward: bool = False) -> pa.Table:
        """The stream's events past version `after`, by version; columns of `schema.EVENTS`.

        `backward`: newest first, down to `after` (exclusive). An unknown stream has no events. What `retention` hides is left out.
        """

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
        """The log in order of position, positions in (after, until], in bounded memory.

        Any of `types`, any of `categories`, all of `tags`, what the `query` matches, and streams in any of `shards` ('h' and the first
        hex digits of the md5 of the stream's id, as the files are laid out). The reader sees the log as it was at the call.
        """

    def subscribe(
        self,
        after: int = 0,
        types: Sequence[str] | None = None,
        categories: Sequence[str] | None = None,
        tags: Sequence[str] | None = None,
        query: Query | None = None,
    ) -> Subscription:
        """What is in the log past `after`, then what comes, as batches, each event once and in order."""

    def head(self) -> int:
        """The last position; 0 for an empty log. Sees every append that any process was answered."""

    def position_at(self, time: datetime) -> int:
        """The last position recorded by then; 0 before the first."""

    def version_at(self, stream_id: str, position: int) -> int:
        """The version that the stream had when the log ended at that position; 0 if it did not exist, or was deleted since."""

    def size(self) -> LogSize:
        """How large the log is: one state of it, with every append that any process was answered."""

    def stream_version(self, stream_id: str) -> int:
        """The stream's version; 0 if it does not exist, or was deleted."""

    def sql(
        self, query: str, params: Sequence[Any] | dict[str, Any] | None = None, as_of: AsOf | None = None, *, tables: Tables | None = None
    ) -> duckdb.DuckDBPyRelation:
        """A query over the views `events` and `snapshots` and the table macros of `store/macros.py` (`stream(id)`, `replay(after, until)`,
        `state(category)` and more), at one position: the head, or `as_of`. `tables`: further ones, by name: Arrow tables, or selects."""

    def ask(
        self,
        query: str,
        params: Sequence[Any] | dict[str, Any] | None = None,
        as_of: AsOf | None = None,
        *,
        tables: Tables | None = None,
        limits: SqlLimits = ...,
        grant: Grant | None = None,
    ) -> pa.Table:
        """The same for queries of others, which need not be trusted: one select, which reads nothing but the warehouse, changes nothing, and keeps
        to its limits (30 s, 1 GiB and a million rows unless said otherwise). QueryRefusedError: it is no such query, or goes beyond them.

        `grant`: what they may see of the warehouse; all of it without one. What is not granted does not exist for them: its tables, columns and
        macros are unknown names, and no filter or error of theirs ever meets its rows.
        """

    def erase(
        self,
        erasure: Erasure,
        *,
        by: str,
        why: str,
        dry_run: bool = False,
        now: bool = False,
        values: Sequence[str] = (),
        backups: Sequence[str] = (),
    ) -> ErasureReport:
        """Take the payload, or parts of it, of these events out of the log, all at once (of several logs: log by log), under the same positions,
        versions and ids. What is appended after the call is not touched. Durable when it returns; the same again erases nothing more.

        An event becomes a husk, which readers of objects meet as an `ErasedEvent`; folds pass it over, SQL finds nulls. Snapshots of the streams
        are forgotten, and all processes forget what they remember of events once they look at the log. `by`, `why`: stand in `$audit`, by the
        deeds `ErasureBegan` and `Erased`, which hold no values.

        `dry_run`: only say which events. `now`: remove the files at once that hold what was erased; else they stay for an hour. A reader of an older
        state, and an open `sql` relation, may then miss its files. `values`: search the warehouse for these afterwards, every byte.
        `backups`: erase the same there. The report says what is gone, how that was proved, what remains, and until when.

        InvalidEventError: the erasure cannot be meant. OutcomeUnknownError, or killed on the way: erase again, or `reapply`.
        """

    def purge(self) -> list[str]:
        """Remove at once what was replaced: files of the log and of the snapshots that upkeep would leave for a while. What was done, in words.

        A reader of an older state, and an open `sql` relation, may miss its files. AccessDeniedError: it takes the capability maintenance.
        """

    @property
    def snapshots(self) -> Snapshots:
        """The snapshots of the warehouse."""

    @property
    def retention(self) -> Retention:
        """What of its streams is to be kept, and how they end."""

    @property
    def aio(self) -> AsyncEventStore:
        """The same verbs for asyncio."""

    @property
    def deciding(self) -> Deciding:
        """What `load` and `transact` keep for this store."""

    @property
    def privacy(self) -> Confidant:
        """Personal data in the log: read where the keys are at hand, and forgotten."""

    @property
    def audit(self) -> Audit:
        """What was done to the store, and proof that nothing else was."""

    def close(self) -> None:
        """Answer what waits, then free everything. Closing twice is harmless."""

    def __enter__(self) -> Self: ...

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None: ...


class Subscription(Protocol):
    """An endless iterator of record batches in log order; also a context manager. `close()` ends it from any thread.

    It reads no further than it is asked to: who is slow holds nobody up, and a few batches are in memory. After an error ask again:
    it goes on where it was.
    """

    @property
    def checkpoint(self) -> int:
        """The position up to which its taker is done: with every batch but the last, and with that, too, once it asks for more.

        Events that are not wanted are passed over.
        """

    def __iter__(self) -> Iterator[pa.RecordBatch]: ...

    def __next__(self) -> pa.RecordBatch: ...

    def close(self) -> None: ...

    def __enter__(self) -> Self: ...

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None: ...

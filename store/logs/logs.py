"""A warehouse of several logs: each stream has its own, and all are read as one."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Any, TypeVar

import pyarrow as pa
import pyarrow.compute as pc

from store.aio import AsyncEventStore
from store.append import Appended, TableAppended
from store.audit.audit import Audit
from store.bulk import bulk
from store.deciding.deciding import Deciding
from store.deciding.decision import refuse_in_decision
from store.deeds import UNKNOWN, Deed, check_named, record
from store.delta import log as delta_log
from store.delta.upkeep import Maintained, summed
from store.draft import Draft, instant
from store.errors import CrossLogError, InvalidEventError, LogSealedError, StoreClosedError, TableRefusedError
from store.event_store import AsOf, EventStore
from store.handle import Handle
from store.intake import Intake
from store.log_size import LogSize
from store.log_view import LogView, until, view_table
from store.logs.log_name import LogName
from store.logs.member import Member
from store.logs.merged_sql import SEEN, merged_sql
from store.logs.together import Together
from store.logs.tree import Tree
from store.observer import Checkpointed, Cleaned, Compacted, Observer, Vacuumed
from store.privacy.confidant import Confidant
from store.query import Query
from store.reading import check_range
from store.reply import Reply
from store.retention.retention import Retention
from store.retention.standing import Standing
from store.schema import EVENTS
from store.selection import Selection
from store.snapshots.delta_snapshots import DeltaSnapshots
from store.sql import Asked, Session, Tables
from store.sql_sessions import SqlSessions
from store.storage.places import join, objects_at
from store.submits import Answer
from store.subscription import Bell, LogSubscription
from store.times import Clock

T = TypeVar("T")


class Logs(Handle):
    """See `EventStore` for the verbs. A stream is in one log, found by the hash of its id, and all that is said of one stream holds as there.

    All logs together are one log again: `read_all`, `subscribe`, `head`, `position_at` and `sql` count positions in one order over all of them,
    by `recorded_at`, then by log, then by the position in it. This order never changes, and is that of each stream. Only events are counted
    before which none can come any more. So these verbs see to it that the other logs have passed the time of the newest event: they wait for
    those that are busy, and tell the time to those that are silent, by a commit without events: some ten milliseconds in a directory, half a
    second in an object store. Who may only read sees an event once the other logs have passed its time by themselves.

    What `append` answers, and `read_stream` and `load` tell, are positions in the stream's own log: `place` says where an event is among all.

    CrossLogError: of what would have to hold over several logs at once: an append to streams of several (`log_of` tells), any condition
    (`fail_if`), and what `retention` would say.
    """

    def __init__(self, warehouse: str, observer: Observer, clock: Clock, intake: Intake | None = None, upkeep: bool = True) -> None:
        self._warehouse, self._intake, self._clock = warehouse, Intake() if intake is None else intake, clock
        self._bell = Bell()
        self._deciding = Deciding(self, observer, clock, self._intake)
        snapshots_uri = join(warehouse, "snapshots")

        def open_member(name: LogName, earlier: Member | None) -> Member:
            uri = name.uri(warehouse)
            try:
                member = Member(name, earlier, objects_at(uri, observer), snapshots_uri, observer, clock, self._intake, self._bell, upkeep)
                member.recollection.add(self._deciding.forget)
                return member
            except TableRefusedError as error:
                if earlier is None or error.problem != "there is no event log here":
                    raise
                raise TableRefusedError(uri, f"the log {name} of this warehouse is missing", "restore it from a backup") from error

        self._tree = Tree(open_member)
        self._objects = objects_at(join(warehouse, "events"), observer)
        self._together = Together(self._tree, self._objects.poll_s)
        self._snapshots = DeltaSnapshots(objects_at(snapshots_uri, observer), observer, upkeep=upkeep)
        self._aio = AsyncEventStore(self, self._intake)
        self._privacy = Confidant(self, self._intake.seals)
        root = self._tree.root
        ruled = root.ruled(clock)._replace(check=self._check_ruled, refresh=lambda: root.head(), standing=self._standing)
        self._retention = Retention(self, ruled)
        self._audit = Audit(self, lambda: [member.ledger for member in self.each()])
        self._sessions = SqlSessions(self._asked, self._privacy.open_texts, warehouse, self._objects.filesystem())
        self._process = os.getpid()
        self._closed = False

    # Appending ------------------------------------------------------------------------------------------------

    def append_table(self, events: pa.Table) -> TableAppended:
        """All streams must be of one log: append `parts` of the table one by one where there are several."""
        table = bulk(events, self._intake.contract).table
        while True:
            log = self._one_log("a table of events", table["stream_id"].unique().to_pylist(), "append each of `parts(table)` by itself")
            try:
                return log.append_table(events)
            except LogSealedError:                 # which it knows now: go down
                continue

    def parts(self, events: pa.Table) -> list[pa.Table]:
        """The rows of a table for each log, in row order. InvalidEventError: see `append_table`."""
        streams = bulk(events, self._intake.contract).table["stream_id"].combine_chunks().dictionary_encode()
        self.logs()                                # known to be newest once is enough: a part that comes too late is refused
        names = pa.array([str(self._tree.of(stream_id).name) for stream_id in streams.dictionary.to_pylist()], pa.string())
        logs = names.take(streams.indices)
        return [events.filter(pc.equal(logs, name)) for name in sorted(set(names.to_pylist()))]

    def submit(self, parts: Sequence[Draft], answered: Callable[[Answer], None], fail_if: Query | None = None, after: int = 0) -> None:
        self._check_open()
        refuse_in_decision()
        if (fail_if is not None or after) and len(logs := self.logs()) > 1:
            raise CrossLogError("a condition (fail_if)", logs, "decide by the versions of the streams of one log, or keep to a warehouse of one log")
        log = self._one_log("an append to several streams", [part.stream_id for part in parts], "append to each by itself, in a saga")

        def answered_by(answer: Answer) -> None:
            if isinstance(answer, LogSealedError):
                try:
                    self.submit(parts, answered, fail_if, after)
                except BaseException as error:
                    answered(error)
            else:
                answered(answer)

        log.submit(parts, answered_by, fail_if, after)

    # One stream -----------------------------------------------------------------------------------------------

    def read_stream(self, stream_id: str, after: int = 0, limit: int | None = None, backward: bool = False) -> pa.Table:
        """`position` is that in the log of each event."""
        return self._in_its_log(stream_id, lambda log: log.read_stream(stream_id, after, limit, backward))

    def stream_version(self, stream_id: str) -> int:
        return self._in_its_log(stream_id, lambda log: log.stream_version(stream_id))

    def version_at(self, stream_id: str, position: int) -> int:
        there = self.vector(position)
        log = self._tree.of(stream_id)             # which may have been split since, and then holds nothing of that time
        while not (version := log.version_at(stream_id, there.get(str(log.name), 0))) and log.earlier is not None:
            log = log.earlier
        return version

    def place(self, stream_id: str, version: int) -> int:
        """The position of an event among all: what `wait_for` waits for. InvalidEventError: there is no such event."""
        events = self.read_stream(stream_id, version - 1, 1)
        if not len(events):
            raise InvalidEventError("version", version, f"is beyond stream {stream_id!r}", "give one that `append` answered")
        log = self._tree.of(stream_id)
        while log.earlier is not None and log.earlier.reads.version(stream_id) >= version:
            log = log.earlier
        recorded_at, position = events["recorded_at"].cast(pa.int64())[0].as_py(), events["position"][0].as_py()
        return self._together.before(log, recorded_at) + int(position)

    # All logs as one ------------------------------------------------------------------------------------------

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
        self._check_open()
        wanted = Selection(0, None, types, categories, tags, query, shards)
        return pa.RecordBatchReader.from_batches(EVENTS, self._together.read(after, until, wanted, limit, backward))

    def subscribe(
        self,
        after: int = 0,
        types: Sequence[str] | None = None,
        categories: Sequence[str] | None = None,
        tags: Sequence[str] | None = None,
        query: Query | None = None,
    ) -> LogSubscription:
        check_range(after, None)

        def read(after: int, until: int) -> pa.RecordBatchReader:
            return self.read_all(after, until, None, types, categories, tags, query=query)

        return LogSubscription(self.head, read, self._bell, after, self._objects.poll_s)

    def head(self) -> int:
        self._check_open()
        return self._together.head()

    def position_at(self, time: datetime) -> int:
        moment = instant("time", time)
        self._check_open()
        return self._together.recorded_by(moment)

    def vector(self, position: int) -> dict[str, int]:
        """The place in each log where the first `position` events of all end; a checkpoint is one number, and stands for this."""
        self._check_open()
        members, place = self._together.upto(position)
        return {str(member.name): there for member, there in zip(members, place, strict=True)}

    def size(self) -> LogSize:
        """Of all logs together; `delta_version`: how many commits they have had."""
        sizes = [member.size() for member in self.each()]
        return LogSize(*map(sum, zip(*sizes, strict=True)))

    # The logs -------------------------------------------------------------------------------------------------

    def logs(self) -> list[str]:
        """The names of those that take events: each tells the shards that it holds."""
        self._check_open()
        return [str(member.name) for member in self._tree.refreshed() if not member.sealed]

    def log_of(self, stream_id: str) -> str:
        """The name of the log that takes the stream's next event, as far as this handle has heard; nothing is asked of the storage.

        Streams of one log can be appended to at once. And each log is quickest with one machine that writes it: send what concerns a stream there.
        """
        self._check_open()
        return str(self._tree.of(stream_id).name)

    def split(self, log: str = "h", into: int = 16, *, by: str | None = None, why: str = UNKNOWN) -> list[str]:
        """Let so many logs take the events of that one from now on; their names. It stays as it is, to be read.

        By one commit, while all go on: whoever appends by `Logs` goes on in the new ones, and no version or position changes. Whoever opened the
        log alone (`open_store`) gets LogSealedError, and opens the warehouse anew. It cannot be taken back: streams that are in one
        log now may be in two after, and can no longer be appended to at once. Then, if it is told `by` whom, the deed `Split` says
        so in `$audit`.

        InvalidEventError: it is no log that takes events, or cannot be parted so.
        """
        self._check_open()
        check_named(UNKNOWN if by is None else by, why)
        name = LogName.parse(log)
        parts = name.split(into)
        member = next((member for member in self._tree.refreshed() if member.name == name and not member.sealed), None)
        if member is None:
            raise InvalidEventError("log", log, "takes no events", f"split one of {', '.join(self.logs())}")
        for part in parts:                         # before anybody is sent there
            delta_log.create(objects_at(part.uri(self._warehouse)), self._clock() // 1000)
        member.seal([str(part) for part in parts])
        if by is not None:
            record(self, Deed("Split", by, why, {"log": log, "logs": [str(part) for part in parts]}))
        return [str(part) for part in parts]

    def each(self) -> list[Member]:
        """Every log by itself, those that were split too; `name` tells which. For upkeep, and for what concerns one log only."""
        self._check_open()
        return self._tree.refreshed()

    def compact(self, dry_run: bool = False) -> list[Compacted]:
        """The upkeep of `store.delta`, here and below: of every log."""
        return [merge for log in self.each() for merge in log.compact(dry_run)]

    def checkpoint(self, dry_run: bool = False) -> Checkpointed:
        return summed([log.checkpoint(dry_run) for log in self.each()])

    def clean_log(self, older_than_s: float = 600.0, dry_run: bool = False) -> Cleaned:
        return summed([log.clean_log(older_than_s, dry_run) for log in self.each()])

    def vacuum(self, retention_s: float = 3600.0, dry_run: bool = False) -> Vacuumed:
        return summed([log.vacuum(retention_s, dry_run) for log in self.each()])

    def maintain(self, dry_run: bool = False) -> Maintained:
        done = [log.maintain(dry_run) for log in self.each()]
        merges = [merge for one in done for merge in one.compacted]
        return Maintained(merges, *(summed([getattr(one, name) for one in done]) for name in ("checkpointed", "cleaned", "vacuumed")))

    def erasable(self) -> dict[str, Member]:
        """Its logs, for an erasure; see `store.erasing`, here and below."""
        return {str(member.name): member for member in self.each()}

    def announce(self) -> None:
        for member in self.each():
            if member.earlier is not None and not member.sealed:
                member.announce()

    def purge(self) -> list[str]:
        for member in self.each():
            member.vacuum(0)
            member.checkpoint()
            member.clean_log()
        self._snapshots.vacuum(0, 0)
        self._snapshots.checkpoint()
        return ["replaced files of all logs and of the snapshots are removed"]

    @property
    def warehouse(self) -> str:
        return self._objects.uri.rpartition("/")[0]

    @property
    def snapshots(self) -> DeltaSnapshots:
        self._check_open()
        return self._snapshots

    def close(self) -> None:
        if self._closed or os.getpid() != self._process:
            return
        self._aio.close()
        self._deciding.close()
        self._closed = True
        self._bell.ring()
        self._tree.close()
        self._sessions.close()
        self._snapshots.close()
        self._objects.close()

    # Below ----------------------------------------------------------------------------------------------------

    def _append(self, parts: Sequence[Draft], fail_if: Query | None, after: int) -> list[Appended]:
        reply: Reply[list[Appended]] = Reply()
        self.submit(parts, reply, fail_if, after)
        return reply.wait()

    def _one_log(self, what: str, stream_ids: Sequence[str], remedy: str) -> Member:
        self._check_open()
        found = {log.name: log for log in map(self._tree.of, stream_ids or [""])}
        if len(found) > 1:
            raise CrossLogError(what, sorted(map(str, found)), remedy)
        (log,) = found.values()
        return log

    def _in_its_log(self, stream_id: str, ask: Callable[[Member], T]) -> T:
        """Ask the log that takes its events: after the answer it must still be the one."""
        self._check_open()
        while True:
            log = self._tree.of(stream_id)
            answer = ask(log)
            if not log.sealed:
                return answer

    def _standing(self, stream_id: str) -> Standing:
        return self._in_its_log(stream_id, lambda log: log.standing(stream_id))

    def _check_ruled(self) -> None:
        if len(logs := self.logs()) > 1:
            raise CrossLogError("retention", logs, "keep to a warehouse of one log")

    def _asked(self, session: Session, query: str, params: Any, as_of: AsOf | None, tables: Tables | None) -> Asked:
        head = self.head()
        until(as_of, head)                         # refuses what is no place
        located = merged_sql(*self._together.upto(head if as_of is None else self.deciding.loader.position(as_of)))
        if not located:
            return session.query(view_table(EVENTS.empty_table(), "position <= 0", self._snapshots.locations), query, params, tables)
        return session.query(LogView(located, SEEN, self._snapshots.locations, self._retention.hidden), query, params, tables)

    def _check_open(self) -> None:
        if self._closed:
            raise StoreClosedError("this store is closed: open it again")
        if os.getpid() != self._process:           # the threads that look at the logs are not there: one would wait for them for ever
            raise StoreClosedError("this store was opened before a fork: open it in the child, or start children by spawn")


def table_parts(store: EventStore, events: pa.Table) -> list[pa.Table]:
    """What of a table can be appended at once: all of it, or, where the store has several logs, the rows of each."""
    return store.parts(events) if isinstance(store, Logs) else [events]

"""The event store on Delta Lake: one log, one committer, reads that see every commit there is."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any, Final

import pyarrow as pa

from store.aio import AsyncEventStore
from store.append import Appended, TableAppended
from store.audit.audit import Audit
from store.bulk import Bulk
from store.condition import Condition, Match, check_condition
from store.deciding.deciding import Deciding
from store.deciding.decision import refuse_in_decision
from store.delta import saved_policy
from store.delta.actions import Segment
from store.delta.committer import Committer
from store.delta.heads import Heads
from store.delta.ledger import DeltaLedger
from store.delta.log import Followers, Log
from store.delta.policies import Policies
from store.delta.reads import Reads
from store.delta.recollection import Recollection
from store.delta.request import Request
from store.delta.rewritable import DeltaRewritable
from store.delta.rota import Rota
from store.delta.saved_policy import SavedPolicy
from store.delta.segment_files import SegmentFiles
from store.delta.standings import Standings
from store.delta.trail import RecentTrail, Step
from store.delta.upkeep import Maintained, Upkeep
from store.draft import Draft, instant
from store.errors import LogSealedError, StoreClosedError
from store.event_store import AsOf
from store.handle import Handle
from store.intake import Intake
from store.log_size import LogSize
from store.log_view import until, view_files, view_table
from store.observer import Checkpointed, Cleaned, Compacted, Observer, Vacuumed
from store.privacy.confidant import Confidant
from store.query import Query
from store.reading import check_range
from store.reply import Reply
from store.retention.retention import Retention
from store.retention.ruled import Ruled
from store.schema import EVENTS
from store.selection import Selection
from store.snapshots.delta_snapshots import DeltaSnapshots
from store.sql import Asked, Session, Tables
from store.sql_sessions import SqlSessions
from store.storage.objects import Objects
from store.storage.places import objects_at
from store.submits import Answer
from store.subscription import Bell, LogSubscription
from store.times import Clock

WORN: Final = 0.05
"""Upkeep removes what is hidden from files of which it is this part of the rows, and `retention.remove` from all."""
NEAR: Final = 4_096
"""A condition on no more of the log's last events than this is left to the committer, which remembers them."""


class DeltaEventStore(Handle):
    """See `EventStore` for the verbs. One handle serves many threads; a forked child must open its own."""

    def __init__(
        self,
        objects: Objects,
        observer: Observer,
        clock: Clock,
        intake: Intake | None = None,
        snapshots_uri: str = "",
        floor: int = 0,
        upkeep: bool = True,
        earlier: Reads | None = None,
    ) -> None:
        """`snapshots_uri`: where they are, if not beside the log. `floor`: no event is recorded before it, in microseconds.

        `upkeep`: does it merge, checkpoint, clean and vacuum by itself? `earlier`: of the log in which its streams may have begun.
        """
        self._objects, self._intake = objects, Intake() if intake is None else intake
        self._files = SegmentFiles(objects)
        self._heads = Heads(
            objects,
            lambda: self._log.segments(),
            lambda segment: self._files.read_columns(segment, ["stream_id", "version", "position"]),
            lambda stream_id, after, until, position: self.reads.stream(
                stream_id, after, until, ["event_id", "version", "position", "stream_id"], position
            ),
            None if earlier is None else earlier.version,
        )
        self._policies = Policies(lambda version, position: self.reads.rules(version, position), lambda: self._log.head, self._saved_policy)
        rota, self.recollection = Rota(objects.machine), Recollection()
        self._log = Log(objects, Followers(self._heads, self._policies, rota, self.recollection), floor=floor)
        self._upkeep = Upkeep(objects, self._log, self._files, self._heads, self._policies, observer, self._apply_retention, upkeep)
        self.reads: Final = Reads(self._log, self._files, self._heads, self._refresh, earlier)
        self._bell = Bell()
        self._trail = RecentTrail(lambda after, until: self.reads.rows(Selection(after, until), ["position", *Step._fields]))
        self._committer = Committer(
            objects, self._log, self._files, self._heads, self.reads.find, observer, clock, self._committed, self._trail, self._policies, rota
        )
        saved = objects_at(snapshots_uri or f"{objects.uri.rpartition('/')[0]}/snapshots", observer)
        self._snapshots = DeltaSnapshots(saved, observer, upkeep=upkeep)
        self._aio = AsyncEventStore(self, self._intake)
        self._deciding = Deciding(self, observer, clock, self._intake)
        self._privacy = Confidant(self, self._intake.seals)
        self.events: Final = DeltaRewritable(objects, self._log, self._files, self._check_open)
        self.standings: Final = Standings(self._log, self._policies, self._heads, self.reads.version_by, clock)
        self._retention = Retention(self, self.ruled(clock))
        self.ledger: Final = DeltaLedger(objects, self._log)
        self._audit = Audit(self, lambda: [self.ledger])
        self._sessions = SqlSessions(self._asked, self._privacy.open_texts, objects.uri.rpartition("/")[0], objects.filesystem())
        for forget in (self.reads.forget, self._trail.forget, self._files.forget, self._deciding.forget):
            self.recollection.add(forget)
        self._process = os.getpid()
        self._closed = False

    # Appending ------------------------------------------------------------------------------------------------

    def append_table(self, events: pa.Table) -> TableAppended:
        answer = self._answered(self._intake.bulk(events))
        assert isinstance(answer, TableAppended)
        return answer

    def submit(self, parts: Sequence[Draft], answered: Callable[[Answer], None], fail_if: Query | None = None, after: int = 0) -> None:
        self._check_open()
        refuse_in_decision()
        condition = self._condition(fail_if, after)
        self._committer.submit(Request(parts, answered, time.monotonic(), condition))  # type: ignore[arg-type]

    # Reading --------------------------------------------------------------------------------------------------

    def read_stream(self, stream_id: str, after: int = 0, limit: int | None = None, backward: bool = False) -> pa.Table:
        check_range(after, limit)
        self._refresh()
        hidden, until = self.standings.shown(stream_id)
        after = max(after, hidden)
        most = None if until is None else max(0, until - after)
        if not backward:
            return self.reads.known_stream(stream_id, after, limit if most is None else most if limit is None else min(limit, most))
        events = self.reads.known_stream(stream_id, after, most)
        return events.take(pa.array(range(len(events) - 1, -1, -1), pa.int64())).slice(0, limit)

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
        head = self._reaching(until)
        selection = Selection(after, head if until is None else min(until, head), types, categories, tags, query, shards)
        return pa.RecordBatchReader.from_batches(EVENTS, self.reads.selected(self._narrowed(selection, head), limit, backward))

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
        return self._refresh()

    @property
    def sealed(self) -> tuple[str, ...]:
        """The logs that this one was split into, as far as is known here; none if it still takes events."""
        return self._log.sealed

    def position_at(self, time: datetime) -> int:
        moment = instant("time", time)
        self._refresh()
        return self.reads.recorded_by(moment)

    def version_at(self, stream_id: str, position: int) -> int:
        self._reaching(position)
        return self.reads.version_at(stream_id, position) if self.standings.version(stream_id) else 0

    def size(self) -> LogSize:
        with self._log.lock:
            head, segments, version = self._refresh(), self._log.segments(), self._log.version
        return LogSize(head, len(segments), sum(segment.size_bytes for segment in segments), version)

    def stream_version(self, stream_id: str) -> int:
        self._refresh()
        return self.standings.version(stream_id)

    def _asked(self, session: Session, query: str, params: Any, as_of: AsOf | None, tables: Tables | None) -> Asked:
        with self._log.lock:
            condition = until(as_of, self._refresh())
            segments = [segment for segment in self._log.segments() if _begun(segment, as_of)]
        if not segments:
            return session.query(view_table(EVENTS.empty_table(), condition, self._snapshots.locations), query, params, tables)
        files = [self._objects.location(segment.path) for segment in segments]
        return session.query(view_files(files, condition, self._snapshots.locations, self._retention.hidden), query, params, tables)

    def erasable(self) -> dict[str, DeltaEventStore]:
        """Its logs, for an erasure; see `store.erasing`, here and below."""
        return {"h": self}

    def announce(self) -> None: ...

    def purge(self) -> list[str]:
        self.vacuum(0)
        self.checkpoint()
        self.clean_log()
        self._snapshots.vacuum(0, 0)
        self._snapshots.checkpoint()
        return ["replaced files of the log and of the snapshots are removed"]

    @property
    def warehouse(self) -> str:
        return self._objects.uri.rpartition("/")[0]

    @property
    def log_id(self) -> str:
        """The same for a log, its copies and its backups."""
        return self.ledger.log

    # Upkeep ---------------------------------------------------------------------------------------------------

    def compact(self, dry_run: bool = False) -> list[Compacted]:
        """Merge small files now; what was done, merge by merge. A writer does this by itself as files pile up.

        `dry_run`, here and below: do nothing, and tell what would be done (of merges, the first).
        """
        self._check_open()
        return self._upkeep.compact(dry_run)

    def checkpoint(self, dry_run: bool = False) -> Checkpointed:
        """Write a checkpoint of the log and the heads of its streams now. A writer does this by itself every few hundred commits."""
        self._check_open()
        return self._upkeep.checkpoint(dry_run)

    def clean_log(self, older_than_s: float = 600.0, dry_run: bool = False) -> Cleaned:
        """Remove commits and checkpoints that a newer checkpoint has summed up, once they are that old (600 s at least)."""
        self._check_open()
        return self._upkeep.clean_log(older_than_s, dry_run)

    def vacuum(self, retention_s: float = 3600.0, dry_run: bool = False) -> Vacuumed:
        """Remove files that were replaced longer ago than that, and files that no commit names (a crash left them)."""
        self._check_open()
        return self._upkeep.vacuum(retention_s, dry_run)

    def maintain(self, dry_run: bool = False) -> Maintained:
        """Compact, checkpoint, clean the log, vacuum: what a writer does by itself, now and in full.

        But for what streams hide, of which no event is changed here: `retention.remove` and `retention.archive` do that.
        """
        self._check_open()
        return self._upkeep.maintain(dry_run)

    @property
    def snapshots(self) -> DeltaSnapshots:
        self._check_open()
        return self._snapshots

    def close(self) -> None:
        if self._closed or os.getpid() != self._process:
            return
        self._aio.close()
        self._deciding.close()
        self._committer.close()
        self._closed = True
        self._bell.ring()
        self._upkeep.close()
        self._sessions.close()
        self._snapshots.close()
        self._objects.close()

    # Below ----------------------------------------------------------------------------------------------------

    def ruled(self, clock: Clock) -> Ruled:
        """This log, as retention sees it."""
        at = self.standings
        return Ruled(
            self, self._check_ruled, self._refresh, at.policy, at.of, clock, self.events, lambda: self.log_id, lambda: self._log.head, at.versions,
            self.events.check_access,
        )  # fmt: skip

    def _append(self, parts: Sequence[Draft], fail_if: Query | None, after: int) -> list[Appended]:
        answer = self._answered(parts, self._condition(fail_if, after))
        assert isinstance(answer, list)
        return answer

    def _condition(self, fail_if: Query | None, after: int) -> Condition | None:
        """A search of the log that takes long is done here, in the caller's thread; the committer looks at the last events only."""
        if fail_if is None and after.__class__ is int and after == 0:
            return None
        head = self._reaching(after)
        check_condition(fail_if, after, head)
        assert fail_if is not None, "or `after` would have been refused"
        if head - after <= NEAR:
            self._trail.warm(after, head)
            return Condition(fail_if, after, after)
        for batch in self.reads.selected(Selection(after, head, query=fail_if), limit=1):
            return Condition(fail_if, after, head, Match(*(batch[name][0].as_py() for name in Match._fields)))
        return Condition(fail_if, after, head)

    def _answered(self, parts: Sequence[Draft] | Bulk, condition: Condition | None = None) -> list[Appended] | TableAppended:
        self._check_open()
        refuse_in_decision()
        reply: Reply[list[Appended] | TableAppended] = Reply()
        self._committer.submit(Request(parts, reply, time.monotonic(), condition))
        return reply.wait()

    def _committed(self, events: int) -> bool:
        self._bell.ring()
        return self._upkeep.committed(events)

    def _refresh(self) -> int:
        """Learn what others committed; the head."""
        self._check_open()
        with self._log.lock:
            self._log.refresh()
            self._check_goes_on()
            return self._log.head

    def _check_goes_on(self) -> None:
        """A log that has ended looks like one in which nothing happens any more."""
        if self._log.sealed:
            raise LogSealedError(self._objects.uri, self._log.sealed)

    def _reaching(self, position: int | None) -> int:
        """A head that is at that position or beyond, if there is one: what is known of the log need not be asked again. None: the newest."""
        self._check_open()
        known = self._log.head
        return known if isinstance(position, int) and 0 <= position <= known else self._refresh()

    def _apply_retention(self) -> None:
        self._retention.remove(by="upkeep", why="what is hidden is not kept", share=WORN)
        self._retention.archive(share=WORN)

    def _check_ruled(self) -> None:
        """One log can be given rules for its streams."""

    def _saved_policy(self, head: int) -> SavedPolicy | None:
        """Nothing is asked of the storage where nothing can have been said."""
        return saved_policy.read(self._objects, head) if self.reads.may_have_rules() else None

    def _narrowed(self, selection: Selection, head: int) -> Selection:
        """To begin with the first match, where the last events are asked for: a decision over a query asks for these, over and over."""
        if selection.query is None or head - selection.after > NEAR:
            return selection
        self._trail.warm(selection.after, head)
        with self._log.lock:                       # before the trail's own, as the committer takes them
            match = self._trail.find(selection.query, selection.after, head)
        return replace(selection, after=max(selection.after, head if match is None else match.position - 1))

    def _check_open(self) -> None:
        if self._closed:
            raise StoreClosedError("this store is closed: open it again")
        if os.getpid() != self._process:
            # Threads, locks and the deltalake runtime do not survive a fork.
            raise StoreClosedError("this store was opened before a fork: open it in the child, or start children by spawn")


def _begun(segment: Segment, as_of: AsOf | None) -> bool:
    """Can it hold anything of that state?"""
    match as_of:
        case datetime():
            return segment.recorded_from <= instant("as_of", as_of)
        case int():
            return segment.first <= as_of
    return True

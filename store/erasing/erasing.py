"""The verb `erase`: payloads are taken out of the log, and what is left of them elsewhere is dealt with, or told."""

from __future__ import annotations

import time
import uuid
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing

import pyarrow as pa

from store.deeds import Deed, check_named, record
from store.erasing.choice import Choice, positions_of
from store.erasing.erasable import Erases, Log
from store.erasing.erasure import Erasure
from store.erasing.erasure_deed import ERASED, Told, begin, ends_of
from store.erasing.erasure_report import ErasureReport, Remnant, RewrittenLog
from store.erasing.reapplying import erased_again
from store.erasing.remnants import BACKUPS, searched, settled
from store.errors import CrossLogError, InvalidEventError, StorageError
from store.query import Query
from store.rewrite import Rewritten, counted, types_in
from store.tracing.traces import check_values


def erase(
    store: Erases,
    erasure: Erasure,
    *,
    by: str,
    why: str,
    dry_run: bool = False,
    now: bool = False,
    values: Sequence[str] = (),
    backups: Sequence[str] = (),
) -> ErasureReport:
    """See `EventStore.erase`."""
    check_values(values)
    work = _Erasing(store, erasure, by, why)
    return work.foretold() if dry_run else work.done(now, values, backups)


class _Erasing:
    def __init__(self, store: Erases, erasure: Erasure, by: str, why: str) -> None:
        if not isinstance(erasure, Erasure):
            raise InvalidEventError("erasure", erasure, "is no Erasure", 'say what is to go: Erasure(streams=["customer-7"])')
        check_named(by, why)
        self._store, self._erasure, self._by, self._why = store, erasure, by, why
        self._erasure_id, self._began_s = str(uuid.uuid4()), time.monotonic()
        self._logs, self._found = store.erasable(), list[str]()
        if len(self._logs) > 1 and erasure.by_position:
            remedy = "name the events by streams, tags, types or fields, or erase them in a warehouse of one log"
            raise CrossLogError("an erasure by positions", list(self._logs), remedy)
        self._choices = {name: self._choice(log) for name, log in self._logs.items()}

    def foretold(self) -> ErasureReport:
        found = {name: log.events.find(self._choices[name]) for name, log in self._logs.items()}
        rows = [RewrittenLog(name, None, len(touched), 0, 0, 0, 0, 0.0) for name, touched in found.items()]
        return self._report(True, list(found.values()), rows, [], [])

    def done(self, now: bool, values: Sequence[str], backups: Sequence[str]) -> ErasureReport:
        done = {name: self._rewritten(name, log) for name, log in self._logs.items()}
        touched = [rewritten.touched for rewritten in done.values()]
        streams = counted(touched)
        if streams:
            self._store.announce()
        gone, remains = settled(self._store, streams, list(done.values()), now)
        gone = [*self._proved(done), *gone]
        more_gone, more = self._in_backups(backups, done, now)
        rows = [RewrittenLog.of(name, one) for name, one in done.items()]
        report = searched(self._store, self._report(False, touched, rows, [*gone, *more_gone], [*remains, *more]), values)
        if streams:
            self._tell(report)
        return report

    def _choice(self, log: Log) -> Choice:
        head = log.head()
        return Choice(self._erasure, self._erasure_id, head, positions_of(log, self._erasure, head))

    def _rewritten(self, name: str, log: Log) -> Rewritten:
        def about(touched: pa.Table) -> None:
            # Once they are erased nobody can tell any more that somebody had changed them before.
            found = [str(finding) for finding in self._store.audit.findings_at(log.log_id, touched["position"].to_pylist())]
            self._found += found
            begin(self._store, self._told(name, log, touched), self._by, self._why, found)

        return log.events.rewrite(self._choices[name], about)

    def _told(self, name: str, log: Log, touched: pa.Table) -> Told:
        events = touched.sort_by("position")
        return Told(self._erasure_id, name, log.log_id, self._erasure, events["position"].combine_chunks(), ends_of(events["event_id"]))

    def _proved(self, done: Mapping[str, Rewritten]) -> Iterator[str]:
        """By reading them again, by the places alone."""
        everything = Erasure(query=Query(), fields=self._erasure.fields, metadata=self._erasure.metadata, tags=self._erasure.tags)
        for name, rewritten in done.items():
            if not len(rewritten.touched):
                continue
            positions, log = rewritten.touched.sort_by("position")["position"].combine_chunks(), self._logs[name]
            left = log.events.find(Choice(everything, self._erasure_id, log.head(), positions))
            if len(left):
                there = left["position"].to_pylist()[:10]
                raise StorageError(f"positions {there} of log {name} were erased, and still say something: verify the log")
            yield f"{len(positions):,} live events of log {name} were read again: nothing of it is left in them"

    def _in_backups(self, backups: Sequence[str], done: Mapping[str, Rewritten], now: bool) -> tuple[list[str], list[Remnant]]:
        from store.open import open_store  # it opens stores, which erase

        gone = []
        for uri in backups:
            with closing(open_store(uri)) as backup:
                logs = backup.erasable()
                for name, log in self._logs.items():
                    if not len(done[name].touched) or name not in logs:
                        continue
                    if logs[name].log_id != log.log_id:
                        raise InvalidEventError("backups", uri, "is no backup of this warehouse", "name copies of it alone")
                    erased_again(logs[name], [self._told(name, log, done[name].touched)])
                gone.append(f"the backup {uri}: the same events are erased there{', old files are removed' if now else ''}")
                if now:
                    backup.purge()
        if not any(len(rewritten.touched) for rewritten in done.values()):
            return gone, []
        others = "those that are not named" if backups else "all that were made before"
        return gone, [Remnant(BACKUPS, others, None, "erase(backups=[…]), or `backup` again and vacuum there; after a restore: reapply")]

    def _report(
        self, dry_run: bool, touched: Sequence[pa.Table], logs: Sequence[RewrittenLog], gone: Sequence[str], remains: Sequence[Remnant]
    ) -> ErasureReport:
        said = self._erasure_id, self._erasure.told(), self._by, self._why, dry_run, counted(touched), types_in(touched)
        return ErasureReport(*said, logs, gone, remains, time.monotonic() - self._began_s, self._found)

    def _tell(self, report: ErasureReport) -> None:
        commits = {log.log: log.delta_version for log in report.logs if log.events}
        what = {"erasure_id": report.erasure_id, "what": report.what, "events": report.events, "streams": len(report.streams), "commits": commits}
        record(self._store, Deed(ERASED, self._by, self._why, what))

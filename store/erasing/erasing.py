"""The verbs: `erase` takes payloads out of the log, `reapply` does it again where an older copy was put in its place."""

from __future__ import annotations

import time
import uuid
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any, Final, Protocol, cast

import pyarrow as pa

from store.deeds import Deed, check_named, record
from store.erasing.choice import Choice, Meant, Several, positions_of
from store.erasing.erasure import Erasure
from store.erasing.erasure_deed import ERASED, REAPPLIED, Told, begin, completed, dated, ends_of
from store.erasing.erasure_report import ErasureReport, Remnant, RewrittenLog
from store.errors import CrossLogError, InvalidEventError, StorageError
from store.event_store import AsOf, EventStore
from store.privacy.traces import traces
from store.query import Query
from store.rewrite import TOUCHED, Rewrite, Rewritten
from store.sql_guard import SqlLimits
from store.submits import Submits

OLD_FILES_S: Final = 3600.0
"""So long upkeep leaves files of the log that were replaced, for readers of an older state."""
OLD_SNAPSHOTS_S: Final = 600.0
READ_MODELS: Final = "read models and dead letters"
"""What a remnant of them is called that the store alone knows nothing of."""
BACKUPS: Final = "backups and copies"
"""What that of other places is called."""
_FORGOTTEN: Final = 10_000
"""Streams whose snapshots are forgotten at once."""


class Events(Protocol):
    """Events that can be rewritten."""

    def find(self, what: Rewrite) -> pa.Table: ...
    def rewrite(self, what: Rewrite, about: Any = ...) -> Rewritten: ...


class Log(Protocol):
    """One log in which events can be erased."""

    def head(self) -> int: ...
    def ask(self, query: str, params: Any = None, as_of: AsOf | None = None, *, limits: SqlLimits = ...) -> pa.Table: ...
    @property
    def events(self) -> Events: ...
    @property
    def log_id(self) -> str: ...


class Erases(Submits, Protocol):
    """A store whose events can be erased."""

    def erasable(self) -> Mapping[str, Log]:
        """Its logs by name, ended ones first."""

    def announce(self) -> None:
        """See to it that processes that follow its logs forget, also what they know of logs that have ended."""

    def purge(self) -> list[str]:
        """Remove at once what was replaced: old files of the logs and of the snapshots. What was done, in words."""

    @property
    def warehouse(self) -> str | None:
        """Where its files are; None: in memory."""


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
    work = _Erasing(store, erasure, by, why)
    return work.foretold() if dry_run else work.done(now, values, backups)


def reapply(warehouse: EventStore, source: EventStore | None = None, *, by: str, why: str, now: bool = False) -> ErasureReport:
    """Erase again whatever was ever erased from this warehouse, as the deeds in `$audit` tell: of `source`, or its own.

    To be done after a restore from a backup that was made before an erasure, and after an erasure that was killed on its way. Each event is
    known by its place and its id, so one that came to a place anew is not touched. An erasure of which no deed is left is not known.

    InvalidEventError: `source` is another warehouse.
    """
    began_s, store = time.monotonic(), _erases(warehouse)
    check_named(by, why)
    logs, told = store.erasable(), [told for _, told in dated(store if source is None else source)]
    finished = completed(store)
    if strange := [one.log_id for one in told if one.log in logs and one.log_id != logs[one.log].log_id]:
        raise InvalidEventError("source", strange[0], "is the id of another log", "take the deeds of the warehouse that this one was copied from")
    here = {name: [one for one in told if one.log == name] for name in logs}
    # Of another warehouse's erasures a deed comes first: a husk of which no deed here told would be taken for a forgery.
    done = {
        name: _reapplied(logs[name], those, partial(_begin_all, store, () if source is None else those, by, why))
        for name, those in here.items()
        if those
    }
    # What was killed on its way may have erased already, but not what follows from it: so what it meant counts, too.
    touched = [rewritten.touched for rewritten in done.values()]
    begun = [_meant(logs[name], one) for name, those in here.items() for one in those if one.erasure_id not in finished]
    touched = [pa.concat_tables([*touched, *begun]).group_by(TOUCHED.names).aggregate([])] if begun else touched
    streams = _counted(touched)
    if streams:
        store.announce()
        record(store, Deed(REAPPLIED, by, why, {"erasures": sorted({one.erasure_id for one in told}), "events": sum(streams.values())}))
    gone, remains = _settled(store, streams, list(done.values()), now)
    rows = [_row(name, rewritten) for name, rewritten in done.items()]
    what = f"what {len({one.erasure_id for one in told}):,} erasures had erased"
    return ErasureReport(str(uuid.uuid4()), what, by, why, False, streams, _types(touched), rows, gone, remains, time.monotonic() - began_s)


def _erases(store: EventStore) -> Erases:
    """InvalidEventError: it is a store of others, and has no way to erase."""
    if not hasattr(store, "erasable"):
        raise InvalidEventError("store", store, "has no way to erase", "give one that `open_store` opened")
    return cast("Erases", store)


def _reapplied(log: Log, told: Sequence[Told], about: Callable[[pa.Table], None] = lambda touched: None) -> Rewritten:
    head = log.head()
    return log.events.rewrite(Several([Choice(one.erasure, one.erasure_id, head, one.positions, one.ends) for one in told]), about)


def _begin_all(store: Submits, told: Sequence[Told], by: str, why: str, touched: pa.Table) -> None:
    for one in told:
        begin(store, one, by, why)


@dataclass(frozen=True, slots=True)
class PastErasure:
    """An erasure that its deeds tell of. `began_at`: what was made of events before it may hold what it erased."""

    erasure_id: str
    began_at: datetime
    streams: frozenset[str]
    types: frozenset[str]


def past_erasures(warehouse: EventStore) -> Iterator[PastErasure]:
    """Oldest first, one for each part of a large one, as far as their events are in this warehouse. Reads these."""
    store = _erases(warehouse)
    logs = store.erasable()
    for began_at, told in dated(store):
        if told.log in logs:
            touched = _meant(logs[told.log], told)
            yield PastErasure(told.erasure_id, began_at, frozenset(_counted([touched])), frozenset(_types([touched])))


def _meant(log: Log, told: Told) -> pa.Table:
    """All events of an erasure that are here, whatever they say."""
    return log.events.find(Meant(told.erasure, told.erasure_id, log.head(), told.positions, told.ends))


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
        streams = _counted(touched)
        if streams:
            self._store.announce()
        gone, remains = _settled(self._store, streams, list(done.values()), now)
        gone = [*self._proved(done), *gone]
        more_gone, more = self._in_backups(backups, done, now)
        found, traced = _traced(self._store, values)
        gone, remains = [*gone, *more_gone, *found], [*remains, *more, *traced]
        report = self._report(False, touched, [_row(name, one) for name, one in done.items()], gone, remains)
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
                    _reapplied(logs[name], [self._told(name, log, done[name].touched)])
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
        said = self._erasure_id, self._erasure.told(), self._by, self._why, dry_run, _counted(touched), _types(touched)
        return ErasureReport(*said, logs, gone, remains, time.monotonic() - self._began_s, self._found)

    def _tell(self, report: ErasureReport) -> None:
        commits = {log.log: log.delta_version for log in report.logs if log.events}
        what = {"erasure_id": report.erasure_id, "what": report.what, "events": report.events, "streams": len(report.streams), "commits": commits}
        record(self._store, Deed(ERASED, self._by, self._why, what))


def _settled(store: Erases, streams: Mapping[str, int], done: Sequence[Rewritten], now: bool) -> tuple[list[str], list[Remnant]]:
    """What follows from it on this floor: snapshots are forgotten, old files are removed or listed."""
    if not streams and not now:
        return [], []
    names = sorted(streams)
    forgotten = sum(store.snapshots.forget(None, names[first : first + _FORGOTTEN]) for first in range(0, len(names), _FORGOTTEN))
    gone = [f"{forgotten:,} snapshots of these streams are forgotten"]
    if now:
        gone += store.purge()
    return gone, [] if store.warehouse is None else list(_left(store.warehouse, done, forgotten > 0 and not now, now))


def _left(place: str, done: Sequence[Rewritten], snapshots: bool, now: bool) -> Iterator[Remnant]:
    moments = [rewritten.replaced_ms for rewritten in done if rewritten.replaced_ms is not None]
    files = sum(len(rewritten.replaced) for rewritten in done)
    if moments and not now:
        erased_at = datetime.fromtimestamp(max(moments) / 1000, UTC)
        until, size_bytes = erased_at + timedelta(seconds=OLD_FILES_S), sum(rewritten.bytes_before for rewritten in done)
        yield Remnant("replaced files of the log", f"{files:,} below {place}/events, {size_bytes:,} bytes", until, "erase(now=True), or vacuum(0)")
    if snapshots:
        until = datetime.now(UTC) + timedelta(seconds=OLD_SNAPSHOTS_S)
        yield Remnant("replaced files of snapshots", f"{place}/snapshots", until, "erase(now=True), or snapshots.vacuum(0, 0)")
    yield Remnant(READ_MODELS, f"{place}/projections, {place}/dead_letters", None, "`erase_everywhere`, which knows the projections")


def _traced(store: Erases, values: Sequence[str]) -> tuple[list[str], list[Remnant]]:
    """Each byte of the warehouse is searched, compressed pages too."""
    if not values or store.warehouse is None:
        return [], []
    found = traces(store.warehouse, values)
    if not found:
        return [f"{len(values):,} values were searched for in every byte below {store.warehouse}: there is no trace of them"], []
    return [], [Remnant("a trace of a value", f"{trace.path}, {trace.how}", None, "see what file it is") for trace in found]


def _counted(tables: Iterable[pa.Table]) -> dict[str, int]:
    counted = Counter[str]()
    for touched in tables:
        for row in touched["stream_id"].value_counts().to_pylist():
            counted[row["values"]] += row["counts"]
    return dict(counted)


def _types(tables: Iterable[pa.Table]) -> list[str]:
    return sorted({type for touched in tables for type in touched["type"].unique().to_pylist()})


def _row(name: str, done: Rewritten) -> RewrittenLog:
    files = len(done.replaced), done.files_after, done.bytes_before, done.bytes_after
    return RewrittenLog(name, done.delta_version, len(done.touched), *files, done.seconds)

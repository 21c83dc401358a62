"""Rewriting: some events of the log say less from now on. The same places, other files, in one commit that names both.

What is prepared stays good as long as the file that it replaces is live: whatever was compacted meanwhile is prepared anew, and
nothing else, so a rewrite ends beside busy compaction. Appends go on, and what comes after the rewrite began is not touched.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Sequence
from contextlib import nullcontext, suppress
from dataclasses import dataclass, field, replace

import pyarrow as pa

from store.delta.actions import Retired, Segment, mark_of
from store.delta.amendment import amend
from store.delta.commits import Commit, erasing
from store.delta.log import Log, Outcome
from store.delta.part import Part, landed, renamed
from store.delta.reader import others
from store.delta.segment_files import SegmentFiles, extent_of
from store.errors import OutcomeUnknownError, StorageError, StoreError, TableRefusedError
from store.rewrite import Extent, Rewrite, Rewritten
from store.storage.objects import Objects


@dataclass(frozen=True, slots=True)
class _Made:
    """What takes the place of a live file; `segment` None: nothing of it changes. `vacuumed`: the log's while it was written."""

    segment: Segment | None
    touched: pa.Table
    vacuumed: int


@dataclass(slots=True)
class _Plan:
    """One decision of a commit: what it takes away, and what it puts there."""

    version: int = -1
    now_ms: int = 0
    removed: list[Segment] = field(default_factory=list)
    made: list[_Made] = field(default_factory=list)

    @property
    def added(self) -> list[Segment]:
        return [made.segment for made in self.made if made.segment is not None]


def rewrite(objects: Objects, log: Log, files: SegmentFiles, what: Rewrite, about: Callable[[pa.Table], None] = lambda touched: None) -> Rewritten:
    """Change these events, all or none, durably. Holds one file in memory, beside its new form, and a few numbers of each event changed.

    `about`: told once, before the first try to commit, of the events that will have changed, with the columns that it is told. What it raises
    ends the rewrite, and nothing has changed. OutcomeUnknownError: it may have; the same again changes nothing twice.
    """
    return _Rewriting(objects, log, files, what, about).run()


def find(log: Log, files: SegmentFiles, what: Rewrite) -> pa.Table:
    """Which events would be changed, with the columns that it is told. Nothing is written."""

    def live() -> list[Segment]:
        log.refresh()
        return log.segments()

    segments: Sequence[Segment] = live()
    while True:
        found = [what.told.empty_table()]
        try:
            for s in segments:
                if s.first <= what.until and what.meets(extent_of(s)):
                    found += [events.cast(what.told) for events in files.read_chosen(s, what, what.told.names)]
            return pa.concat_tables(found)
        except (StorageError, TableRefusedError) as error:
            segments = others(segments, live, error)


def worn(log: Log, files: SegmentFiles, what: Rewrite, share: float) -> list[Extent]:
    """The extents of the files of whose rows such a part would be changed at least."""

    def live() -> list[Segment]:
        log.refresh()
        return log.segments()

    segments: Sequence[Segment] = live()
    while True:
        try:
            concerned = [s for s in segments if s.first <= what.until and what.meets(extent_of(s))]
            return [extent_of(s) for s in concerned if files.count_marked(s, what) >= share * s.rows]
        except (StorageError, TableRefusedError) as error:
            segments = others(segments, live, error)


class _Rewriting:
    def __init__(self, objects: Objects, log: Log, files: SegmentFiles, what: Rewrite, about: Callable[[pa.Table], None]) -> None:
        self._objects, self._log, self._files, self._what, self._about = objects, log, files, what, about
        self._made: dict[str, _Made] = {}
        self._told = False
        self._plan = _Plan()
        self._is_nothing = False
        self._needless: list[str] = []
        self._loose = False
        """May a put still arrive that names files of ours? Then none is deleted: a vacuum will know."""

    def run(self) -> Rewritten:
        try:
            return self._run()
        except OutcomeUnknownError:                # a commit may appear that names what was written
            raise
        except BaseException:
            with suppress(StoreError):
                self._discard()
            raise

    def _run(self) -> Rewritten:
        began_s, again = time.monotonic(), False
        while True:
            # The first time upkeep goes on; whoever was overtaken asks that of the same machine to wait, where nobody does it already.
            with self._objects.duty() if again else nullcontext():
                self._prepare()
                self._tell()
                commit = amend(self._objects, self._log, self._decided)
            again = True
            if isinstance(commit, Commit) or self._is_there():
                return self._done(began_s)
            self._loose |= commit is not Outcome.THEIRS
            if self._is_nothing:
                self._discard()
                return Rewritten(None, self._what.told.empty_table(), seconds=time.monotonic() - began_s)

    def _prepare(self) -> None:
        """See to it that everything that takes part has its new form, durable but not yet named."""
        self._log.refresh()
        while stale := self._stale():
            for s in stale:
                try:
                    self._made[s.path] = self._form(s)
                except (StorageError, TableRefusedError) as error:
                    others([s], self._log.live, error)  # merged and vacuumed meanwhile
                    break
            self._log.refresh()

    def _tell(self) -> None:
        touched = self._touched(self._made[s.path] for s in self._concerned())
        if len(touched) and not self._told:
            self._about(touched)
            self._told = True

    def _concerned(self) -> list[Segment]:
        return [s for s in self._log.segments() if s.first <= self._what.until and self._what.meets(extent_of(s))]

    def _stale(self) -> list[Segment]:
        """The live files whose new form is not there, or may be gone, as a vacuum has begun since it was written."""
        return [
            s
            for s in self._concerned()
            if (made := self._made.get(s.path)) is None or (made.segment is not None and made.vacuumed != self._log.vacuumed)
        ]

    def _form(self, s: Segment) -> _Made:
        vacuumed, before = self._log.vacuumed, self._made.get(s.path)
        if before is not None and before.segment is not None:                # a copy under a new name is quicker than the work once more
            self._needless.append(before.segment.path)
            if (body := self._objects.get(before.segment.path)) is not None:
                again = renamed(before.segment)
                self._objects.put(again.path, body)
                return replace(before, segment=again, vacuumed=vacuumed)
        marked = self._files.read_marked(s, self._what)
        if (first := next(marked, None)) is None:
            return _Made(None, self._what.told.empty_table(), vacuumed)
        touched, told = list[pa.Table](), self._what.told

        def groups() -> Iterable[pa.Table]:
            for events, chosen in (first, *marked):
                touched.append(events.filter(chosen).select(told.names).cast(told))
                yield self._what.changed(events, chosen)

        made, body = self._encoded(s, groups())
        made = replace(made, rewritten=mark_of([s.rewritten, self._what.rewrite_id]), streams=s.streams, marks=s.marks)
        self._objects.put(made.path, body)
        return _Made(made, pa.concat_tables(touched), vacuumed)

    def _encoded(self, s: Segment, groups: Iterable[pa.Table]) -> tuple[Segment, pa.Buffer]:
        """In the order, the row groups and the kind of file that it was: a compaction that comes by finds what it relies on."""
        if self._files.is_landing(s):
            return landed(pa.concat_tables(groups), s.shard, s.run)
        part = Part(s.shard, *s.run, s.archived)
        for events in groups:
            part.add(events)
        return part.done()

    def _decided(self, commit_id: str, version: int) -> tuple[Commit, bytes] | None:
        if self._stale():
            return None
        pairs = [(s, made) for s in self._concerned() if (made := self._made[s.path]).segment is not None]
        self._is_nothing = not pairs
        if not pairs:
            return None
        now_ms, log = time.time_ns() // 1_000_000, self._log
        self._plan = plan = _Plan(version, now_ms, [s for s, _ in pairs], [made for _, made in pairs])
        retired = [Retired(s.path, now_ms, s.size_bytes) for s in plan.removed]
        commit = Commit(version, commit_id, log.recorded_at, log.head, plan.added, retired, erases=True)
        return commit, erasing(commit_id, log.recorded_at, log.head, plan.removed, plan.added, now_ms)

    def _is_there(self) -> bool:
        """After a sleep: was our commit in time? Then its files are live, or were merged since."""
        known = {s.path for s in self._log.segments()} | {retired.path for retired in self._log.retired()}
        return any(s.path in known for s in self._plan.added)

    def _done(self, began_s: float) -> Rewritten:
        plan = self._plan
        self._files.drop(plan.removed)
        named = {s.path for s in plan.added}
        self._needless += [made.segment.path for made in self._made.values() if made.segment is not None and made.segment.path not in named]
        self._clear()
        return Rewritten(
            delta_version=plan.version,
            touched=self._touched(plan.made),
            replaced=[s.path for s in plan.removed],
            replaced_ms=plan.now_ms,
            bytes_before=sum(s.size_bytes for s in plan.removed),
            files_after=len(plan.added),
            bytes_after=sum(s.size_bytes for s in plan.added),
            seconds=time.monotonic() - began_s,
        )

    def _discard(self) -> None:
        self._needless += [made.segment.path for made in self._made.values() if made.segment is not None]
        self._clear()

    def _clear(self) -> None:
        """What no commit names. Who is killed before leaves it to a vacuum."""
        if not self._loose:
            self._objects.delete(self._needless)

    def _touched(self, made: Iterable[_Made]) -> pa.Table:
        return pa.concat_tables([self._what.told.empty_table(), *(one.touched for one in made)])

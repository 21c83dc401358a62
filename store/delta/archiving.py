"""Archiving: the events of streams that take no more move to files of their own, under a prefix that may be colder.

File by file, of sealed runs only, which compaction leaves as they are: the hot part and the cold part take the place of one file in one
commit. The same events at the same positions, so nothing else changes; a stream that goes on is never found in an archived file.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import replace

import pyarrow as pa
import pyarrow.compute as pc

from store.delta import part, segment
from store.delta.actions import Segment
from store.delta.compaction import MARKED_STREAMS, is_settled, put_in_place
from store.delta.log import Log
from store.delta.part import Part
from store.delta.reader import others
from store.delta.segment_files import SegmentFiles
from store.errors import StorageError, TableRefusedError
from store.retention.archived import Archived
from store.shard import mark
from store.storage.objects import Objects


def archive(objects: Objects, log: Log, files: SegmentFiles, streams: Collection[str], share: float, dry_run: bool) -> Iterator[Archived]:
    """What was done, file by file. `share`: a file is left alone of whose rows less than this part are those of these streams.

    Holds a file in memory in its new form.
    """
    names, looked = pa.array(sorted(streams), pa.string()), set[str]()
    while (s := _next(log, names, looked)) is not None:
        looked.add(s.path)
        try:
            rows = _count(files, s, names)
            if not rows or rows < share * s.rows:
                continue
            if dry_run:
                yield Archived(rows, 1, 0)
            elif (done := _part(objects, log, files, s, names)) is not None:
                yield done
        except (StorageError, TableRefusedError) as error:
            others([s], log.live, error)           # merged and vacuumed meanwhile


def _next(log: Log, names: pa.Array, looked: Collection[str]) -> Segment | None:
    return next((s for s in log.live() if s.path not in looked and not s.archived and is_settled(s) and _meets(s, names)), None)


def _meets(s: Segment, names: pa.Array) -> bool:
    return bool(pc.any(pc.and_(pc.greater_equal(names, s.lowest_stream), pc.less_equal(names, s.highest_stream))).as_py())


def _count(files: SegmentFiles, s: Segment, names: pa.Array) -> int:
    return pc.sum(pc.is_in(files.read_columns(s, ["stream_id"])["stream_id"], names)).as_py() or 0


def _part(objects: Objects, log: Log, files: SegmentFiles, s: Segment, names: pa.Array) -> Archived | None:
    """None: the file is not live any more."""
    vacuumed = log.vacuumed
    cold, hot = _Half(s, archived=True), _Half(s, archived=False)
    for events in files.read_groups(s):
        closed = pc.is_in(events["stream_id"], names)
        cold.add(events.filter(closed))
        hot.add(events.filter(pc.invert(closed)))
    halves = [half.put(objects) for half in (hot, cold) if half.rows]
    if put_in_place(objects, log, [s], halves, vacuumed) is None:
        return None
    files.drop([s])
    return Archived(cold.rows, 1, len(halves), halves[-1].size_bytes)


class _Half:
    """The rows of a file that stay together, in its order. Row groups are filled, and do not go beyond a section."""

    def __init__(self, s: Segment, archived: bool) -> None:
        self._of, self._part = s, Part(s.shard, *s.run, archived)
        self._archived, self._marks = archived, set[str]()
        self._waiting: list[pa.Table] = []
        self._section = -1
        self.rows = 0

    def add(self, events: pa.Table) -> None:
        if not len(events):
            return
        section = (events["position"][0].as_py() - 1) // segment.SECTION_ROWS
        if section != self._section or sum(map(len, self._waiting)) >= part.ROW_GROUP_ROWS:
            self._flush()
        self._section = section
        self._waiting.append(events)
        self.rows += len(events)
        if self._archived and len(self._marks) <= MARKED_STREAMS:
            self._marks.update(map(mark, events["stream_id"].unique().to_pylist()))

    def put(self, objects: Objects) -> Segment:
        self._flush()
        marks = frozenset(self._marks) if self._archived and len(self._marks) <= MARKED_STREAMS else None
        return replace(self._part.put(objects), rewritten=self._of.rewritten, marks=marks)

    def _flush(self) -> None:
        if self._waiting:
            self._part.add(pa.concat_tables(self._waiting))
        self._waiting = []

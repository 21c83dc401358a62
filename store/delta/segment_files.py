"""Reading the log's Parquet files: footers are remembered, row groups that cannot match stay closed."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import Final

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from store.delta.actions import Segment
from store.delta.footer import Footer
from store.errors import StorageError, TableRefusedError
from store.rewrite import Extent, Rewrite
from store.schema import EVENTS
from store.selection import Selection
from store.storage.objects import Objects
from store.times import microseconds

REMEMBERED_FOOTER_BYTES: Final = 12 << 20
"""As they lie on disk; in memory they take ten times as much. About 1,200 a row group.

Enough for one range of joined runs, whose files a replay opens again for each section: with room for fewer (*measured*) it spends most of its
time on reading their footers, and replays 0.3 million events a CPU second in place of 0.75.
"""
KEPT_BYTES: Final = 32 << 20
"""Of the fresh landing files whose rows stay in memory: they are the ones that are read and merged next."""

Span = tuple[int, int]
"""Positions from–to, both included."""

_TIMED: Final = ["position", "recorded_at"]


class SegmentFiles:
    """Opens segments. A segment's file never changes, so what was read of it stays true.

    TableRefusedError: a file is missing or damaged. A reader whose list of segments is old asks for a new one then.
    """

    def __init__(self, objects: Objects) -> None:
        self._objects = objects
        self._lock = threading.Lock()
        self._footers: OrderedDict[str, Footer] = OrderedDict()
        self._footer_bytes = 0
        self._kept: OrderedDict[str, tuple[pa.Table, int]] = OrderedDict()
        self._kept_bytes = 0

    def keep(self, segment: Segment, events: pa.Table) -> None:
        """Remember the rows of a segment just written, so that it need not be opened."""
        with self._lock:
            self._kept[segment.path] = events, events.nbytes
            self._kept_bytes += events.nbytes
            while self._kept_bytes > KEPT_BYTES:
                _, (_, size_bytes) = self._kept.popitem(last=False)
                self._kept_bytes -= size_bytes

    def forget(self) -> None:
        """What is remembered of what events say."""
        with self._lock:
            self._kept.clear()
            self._kept_bytes = 0

    def drop(self, segments: Iterable[Segment]) -> None:
        """Forget segments that are no longer live."""
        with self._lock:
            for segment in segments:
                if (footer := self._footers.pop(segment.path, None)) is not None:
                    self._footer_bytes -= footer.size_bytes
                if (kept := self._kept.pop(segment.path, None)) is not None:
                    self._kept_bytes -= kept[1]

    def read_stream(
        self, segment: Segment, stream_id: str, columns: Sequence[str], spans: Sequence[Span] | None = None, versions: Span | None = None
    ) -> pa.Table:
        """The rows of one stream, in order of version. `spans`: it has none at other positions. `versions`: others may be left out."""
        if (kept := self._kept.get(segment.path)) is not None:
            return _of_stream(kept[0], stream_id).select(columns)
        with self._opened(segment) as (footer, file):
            groups = footer.where("stream_id", lambda low, high: low <= stream_id <= high)
            if spans is not None:
                groups = footer.where("position", lambda low, high: overlap(spans, low, high), groups)
            if versions is not None and len(groups) > 1:
                groups = footer.where("version", lambda low, high: overlap([versions], low, high), groups)
            if len(groups) > 1:                    # mostly it is in one of them: a glance at one column tells in which
                groups = [group for group in groups if pc.index(_group(file, group, ["stream_id"])["stream_id"], stream_id).as_py() >= 0]
            return _of_stream(_groups(file, groups, [*columns, "stream_id"]), stream_id).select(columns)

    def read_selected(self, segment: Segment, selection: Selection, columns: Sequence[str] = EVENTS.names) -> pa.Table:
        """The wanted rows, in the file's order. Of a row group without any only the columns that tell so are decoded.

        `columns`: with those at least that tell whether a row is wanted.
        """
        if (kept := self._kept.get(segment.path)) is not None:
            return selection.filter(kept[0]).select(columns)
        selection = selection.inside(segment.shard)
        with self._opened(segment) as (footer, file):
            groups = footer.where("position", selection.meets_positions)
            # Of a shard that is asked for nearly every row group has rows: a glance would hash its streams for nothing.
            glanced = replace(selection, shards=None)
            if glanced.narrow:
                groups = footer.where("type", glanced.meets_types, footer.where("stream_id", glanced.meets_streams, groups))
                groups = [group for group in groups if len(glanced.filter(_group(file, group, glanced.columns)))]
            events = _groups(file, groups, columns)
            covered = selection.covers_positions(segment.first, segment.last) or all(
                (bounds := footer.bounds("position", group)) and selection.covers_positions(*bounds) for group in groups
            )
            return events if covered and not selection.narrow else selection.filter(events)

    def read_columns(self, segment: Segment, columns: Sequence[str]) -> pa.Table:
        """All rows of some columns."""
        if (kept := self._kept.get(segment.path)) is not None:
            return kept[0].select(columns)
        with self._opened(segment) as (_, file):
            return conform(file.read(columns=columns))

    def read_groups(self, segment: Segment) -> Iterator[pa.Table]:
        """All rows, one row group at a time."""
        with self._opened(segment) as (footer, file):
            for group in range(footer.groups):
                yield _group(file, group, EVENTS.names)

    def read_marked(self, segment: Segment, rewrite: Rewrite) -> Iterator[tuple[pa.Table, pa.Array]]:
        """All rows, one row group at a time, and which of them are chosen; nothing at all if none is. Then only a few columns are decoded."""
        with self._opened(segment) as (footer, file):
            marks: list[pa.Array | None] = []
            for group in range(footer.groups):
                seen = rewrite.meets(_extent(segment, footer, group))
                mark = rewrite.chosen(_group(file, group, rewrite.columns)) if seen else None
                marks.append(mark if mark is not None and pc.any(mark).as_py() else None)
            if any(mark is not None for mark in marks):
                for group, mark in enumerate(marks):
                    rows = _group(file, group, EVENTS.names)
                    yield rows, pa.repeat(False, len(rows)) if mark is None else mark

    def read_chosen(self, segment: Segment, rewrite: Rewrite, columns: Sequence[str]) -> Iterator[pa.Table]:
        """These columns of the chosen rows alone."""
        seen = list(dict.fromkeys([*rewrite.columns, *columns]))
        with self._opened(segment) as (footer, file):
            for group in range(footer.groups):
                if rewrite.meets(_extent(segment, footer, group)):
                    rows = _group(file, group, seen)
                    yield rows.filter(rewrite.chosen(rows)).select(columns)

    def count_marked(self, segment: Segment, rewrite: Rewrite) -> int:
        """How many rows are chosen."""
        with self._opened(segment) as (footer, file):
            seen = [group for group in range(footer.groups) if rewrite.meets(_extent(segment, footer, group))]
            return sum(pc.sum(rewrite.chosen(_group(file, group, rewrite.columns))).as_py() or 0 for group in seen)

    def is_landing(self, segment: Segment) -> bool:
        """Was it written to be quick? Such a file has no statistics within, and is in no order but the log's."""
        with self._opened(segment) as (footer, _):
            return footer.bounds("position", 0) is None

    def last_recorded_by(self, segment: Segment, moment: int) -> int:
        """The last position in this segment that was recorded by that microsecond; 0: none."""
        if (kept := self._kept.get(segment.path)) is not None:
            return _last_by(kept[0], moment)
        with self._opened(segment) as (footer, file):
            begun = footer.where("recorded_at", lambda low, _: microseconds(low) <= moment)
            places = [bounds for group in range(footer.groups) if (bounds := footer.bounds("position", group))]
            if len(places) < footer.groups:        # a landing file
                return _last_by(_groups(file, begun, _TIMED), moment)
            over = footer.where("recorded_at", lambda _, high: microseconds(high) <= moment)
            newest = max((places[group][1] for group in over), default=0)
            torn = [group for group in begun if group not in over and places[group][1] > newest]
            return max(newest, _last_by(_groups(file, torn, _TIMED), moment))

    @contextmanager
    def _opened(self, segment: Segment) -> Iterator[tuple[Footer, pq.ParquetFile]]:
        try:
            with self._lock:
                footer = self._footers.get(segment.path)
            source = self._objects.open(segment.path)
            # What is mapped is in memory already: collecting it beforehand would copy it, at a third of the time of a small read.
            apart = not isinstance(source, pa.BufferReader)
            with pq.ParquetFile(source, metadata=footer.metadata if footer else None, pre_buffer=apart) as file:
                yield footer or self._remembered(segment, file.metadata), file
        except (pa.ArrowInvalid, OSError) as error:
            raise self._refusal(f"the live file {segment.path} is damaged ({error})") from error
        except StorageError as error:
            if self._objects.get(segment.path) is not None:
                raise
            raise self._refusal(f"the live file {segment.path} is missing") from error

    def _remembered(self, segment: Segment, metadata: pq.FileMetaData) -> Footer:
        footer = Footer(metadata)
        with self._lock:
            if segment.path not in self._footers:
                self._footers[segment.path] = footer
                self._footer_bytes += footer.size_bytes
            while self._footer_bytes > REMEMBERED_FOOTER_BYTES:
                self._footer_bytes -= self._footers.popitem(last=False)[1].size_bytes
        return footer

    def _refusal(self, problem: str) -> TableRefusedError:
        return TableRefusedError(self._objects.uri, problem, "restore the file from a backup")


def meets(segment: Segment, selection: Selection) -> bool:
    """Can this file hold wanted rows?"""
    return (
        selection.meets_positions(segment.first, segment.last)
        and selection.meets_shard(segment.shard)
        and selection.meets_types(segment.lowest_type, segment.highest_type)
        and selection.meets_streams(segment.lowest_stream, segment.highest_stream)
    )


def extent_of(segment: Segment) -> Extent:
    s = segment
    return Extent(s.first, s.last, s.lowest_stream, s.highest_stream, s.lowest_type, s.highest_type, s.shard)


def _extent(segment: Segment, footer: Footer, group: int) -> Extent:
    first, last = footer.bounds("position", group) or (segment.first, segment.last)
    streams = footer.bounds("stream_id", group) or (segment.lowest_stream, segment.highest_stream)
    types = footer.bounds("type", group) or (segment.lowest_type, segment.highest_type)
    return Extent(first, last, streams[0], streams[1], types[0], types[1], segment.shard)


def overlap(spans: Sequence[Span], first: int, last: int) -> bool:
    """Does one of the spans have a position in common with this one?"""
    return any(low <= last and high >= first for low, high in spans)


def conform(table: pa.Table) -> pa.Table:
    """The columns read, in the log's exact types (a reader may forget that a list's elements are never null)."""
    return table.cast(pa.schema([EVENTS.field(name) for name in table.column_names]))


def _group(file: pq.ParquetFile, group: int, columns: Sequence[str]) -> pa.Table:
    return _groups(file, [group], columns)


def _groups(file: pq.ParquetFile, groups: Sequence[int], columns: Sequence[str]) -> pa.Table:
    return conform(file.read_row_groups(groups, columns=columns, use_threads=False))


def _of_stream(events: pa.Table, stream_id: str) -> pa.Table:
    return events.filter(pc.equal(events["stream_id"], stream_id))


def _last_by(events: pa.Table, moment: int) -> int:
    return pc.max(events.filter(pc.less_equal(events["recorded_at"].cast(pa.int64()), moment))["position"]).as_py() or 0

"""Reading the log's Parquet files: footers are remembered, row groups that cannot match stay closed."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Final, NamedTuple

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from store.delta.actions import Segment
from store.delta.objects import Objects
from store.errors import TableRefusedError
from store.schema import EVENTS
from store.selection import Selection

REMEMBERED_FOOTERS: Final = 2_048
KEPT_BYTES: Final = 32 << 20
"""Size on disk of the fresh landing files whose rows stay in memory: they are the ones that are read and merged next."""


class Bounds(NamedTuple):
    """What the statistics of one row group say; None where a landing file has none."""

    lowest_stream: str
    highest_stream: str
    lowest_type: str
    highest_type: str
    first: int
    last: int


class Footer(NamedTuple):
    """A file's metadata, and the bounds of its row groups (None: there is but one, described by the log itself)."""

    metadata: pq.FileMetaData
    bounds: Sequence[Bounds] | None


class SegmentFiles:
    """Opens segments. A segment's file never changes, so what was read of it stays true."""

    def __init__(self, objects: Objects) -> None:
        self._objects = objects
        self._lock = threading.Lock()
        self._footers: OrderedDict[str, Footer] = OrderedDict()
        self._kept: OrderedDict[str, tuple[pa.Table, int]] = OrderedDict()
        self._kept_bytes = 0

    def keep(self, segment: Segment, events: pa.Table) -> None:
        """Remember the rows of a segment just written, so that it need not be opened."""
        with self._lock:
            self._kept[segment.path] = events, segment.size_bytes
            self._kept_bytes += segment.size_bytes
            while self._kept_bytes > KEPT_BYTES:
                _, (_, size_bytes) = self._kept.popitem(last=False)
                self._kept_bytes -= size_bytes

    def drop(self, segments: Iterable[Segment]) -> None:
        """Forget segments that are no longer live."""
        with self._lock:
            for segment in segments:
                self._footers.pop(segment.path, None)
                if (kept := self._kept.pop(segment.path, None)) is not None:
                    self._kept_bytes -= kept[1]

    def read_stream(self, segment: Segment, stream_id: str, columns: Sequence[str]) -> pa.Table:
        """The rows of one stream, in no particular order."""
        table = self._read(segment, columns, lambda b: b.lowest_stream <= stream_id <= b.highest_stream)
        return table.filter(pc.equal(table["stream_id"], stream_id))

    def read_selected(self, segment: Segment, selection: Selection, columns: Sequence[str] = EVENTS.names) -> Iterator[pa.Table]:
        """The wanted rows, one row group at a time."""
        if (kept := self._kept.get(segment.path)) is not None:
            yield selection.filter(kept[0].select(columns))
            return
        with self._opened(segment) as (footer, file):
            for group in self._matching(footer, lambda b: meets(b, selection)):
                yield selection.filter(conform(file.read_row_group(group, columns=columns)))

    def read_columns(self, segment: Segment, columns: Sequence[str]) -> pa.Table:
        """All rows of some columns."""
        return self._read(segment, columns, lambda _: True)

    def _read(self, segment: Segment, columns: Sequence[str], wanted: Callable[[Bounds], bool]) -> pa.Table:
        if (kept := self._kept.get(segment.path)) is not None:
            return kept[0].select(columns)
        with self._opened(segment) as (footer, file):
            return conform(file.read_row_groups(self._matching(footer, wanted), columns=columns))

    @contextmanager
    def _opened(self, segment: Segment) -> Iterator[tuple[Footer, pq.ParquetFile]]:
        try:
            with self._lock:
                footer = self._footers.get(segment.path)
            with pq.ParquetFile(self._objects.open(segment.path), metadata=footer.metadata if footer else None) as file:
                yield footer or self._remembered(segment, file.metadata), file
        except (pa.ArrowInvalid, OSError) as error:
            problem = f"the live file {segment.path} is damaged ({error})"
            raise TableRefusedError(self._objects.uri, problem, "restore the file from a backup") from error

    def _remembered(self, segment: Segment, metadata: pq.FileMetaData) -> Footer:
        footer = Footer(metadata, _bounds(metadata))
        with self._lock:
            self._footers[segment.path] = footer
            if len(self._footers) > REMEMBERED_FOOTERS:
                self._footers.popitem(last=False)
        return footer

    @staticmethod
    def _matching(footer: Footer, wanted: Callable[[Bounds], bool]) -> list[int]:
        if footer.bounds is None:
            return list(range(footer.metadata.num_row_groups))
        return [group for group, bounds in enumerate(footer.bounds) if wanted(bounds)]


def meets(bounds: Bounds | Segment, selection: Selection) -> bool:
    """Can a file or row group with these bounds hold wanted rows?"""
    return (
        selection.meets_positions(bounds.first, bounds.last)
        and selection.meets_types(bounds.lowest_type, bounds.highest_type)
        and selection.meets_streams(bounds.lowest_stream, bounds.highest_stream)
    )


def conform(table: pa.Table) -> pa.Table:
    """The columns read, in the log's exact types (a reader may forget that a list's elements are never null)."""
    return table.cast(pa.schema([EVENTS.field(name) for name in table.column_names]))


def _bounds(metadata: pq.FileMetaData) -> list[Bounds] | None:
    if metadata.num_row_groups == 0:
        return None
    places = {metadata.row_group(0).column(i).path_in_schema: i for i in range(metadata.num_columns)}
    bounds = []
    for group in range(metadata.num_row_groups):
        row_group = metadata.row_group(group)
        stats = [row_group.column(places[name]).statistics for name in ("stream_id", "type", "position")]
        if not all(s is not None and s.has_min_max for s in stats):
            return None
        bounds.append(Bounds(*(value for s in stats for value in (s.min, s.max))))
    return bounds

"""Reads of the log: which files can hold what is asked, and log order put back one window at a time."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from typing import Final, NamedTuple

import polars as pl
import pyarrow as pa
import pyarrow.compute as pc

from store.delta.actions import Segment
from store.delta.segment_files import SegmentFiles, meets
from store.schema import EVENTS
from store.selection import Selection
from store.shard import shards_of

BATCH_ROWS: Final = 65_536
WINDOW_ROWS: Final = 1 << 18
"""So many positions are held in memory at once; a longer sorted run is read in several passes."""


class Window(NamedTuple):
    """A range of positions and the files that hold it."""

    first: int
    last: int
    segments: list[Segment]


def read_stream(
    files: SegmentFiles, segments: Iterable[Segment], stream_id: str, after: int, until: int | None, columns: Sequence[str] = EVENTS.names
) -> pa.Table:
    """The stream's events with versions in (after, until], by version."""
    parts = [files.read_stream(segment, stream_id, columns) for segment in _holding(segments, stream_id)]
    parts = [part for part in parts if len(part)]
    if not parts:
        return EVENTS.empty_table().select(columns)
    # Files with rows of one stream do not overlap in versions: sorting the files' first versions sorts the rows,
    # but for rows of one landing file, which are in log order already.
    events = pa.concat_tables(sorted(parts, key=lambda part: part["version"][0].as_py()))
    first = events["version"][0].as_py()
    skip = max(0, after + 1 - first)
    return events.slice(skip, None if until is None else max(0, until - max(after, first - 1)))


def _holding(segments: Iterable[Segment], stream_id: str) -> list[Segment]:
    shards = shards_of(stream_id)
    return [
        s
        for s in segments
        if s.lowest_stream <= stream_id <= s.highest_stream and s.shard in shards and (s.streams is None or stream_id in s.streams)
    ]


def read_all(files: SegmentFiles, segments: Sequence[Segment], selection: Selection, limit: int | None, backward: bool) -> Iterator[pa.RecordBatch]:
    """The wanted events in order of position (`backward`: reversed), in batches of BATCH_ROWS at most."""
    left = limit
    for window in _windows([s for s in segments if meets(s, selection)], backward):
        if left is not None and left <= 0:
            return
        events = _read_window(files, window, selection)
        if backward:
            events = events.take(pa.array(range(len(events) - 1, -1, -1), pa.int64()))
        if left is not None:
            events = events.slice(0, left)
            left -= len(events)
        yield from events.to_batches(max_chunksize=BATCH_ROWS)


def _read_window(files: SegmentFiles, window: Window, selection: Selection) -> pa.Table:
    last = window.last if selection.until is None else min(window.last, selection.until)
    clipped = replace(selection, after=max(selection.after, window.first - 1), until=last)
    parts = [part for segment in window.segments for part in files.read_selected(segment, clipped) if len(part)]
    if not parts:
        return EVENTS.empty_table()
    return pa.concat_tables(parts).sort_by("position").combine_chunks()


def _windows(segments: Sequence[Segment], backward: bool) -> Iterator[Window]:
    """Disjoint ranges of positions in reading order: small neighbours together, long runs in pieces."""
    windows: list[Window] = []
    for segment in sorted(segments, key=lambda s: s.first):
        newest = windows[-1] if windows else None
        if newest and (segment.first <= newest.last or segment.last - newest.first < BATCH_ROWS):
            windows[-1] = Window(newest.first, max(newest.last, segment.last), [*newest.segments, segment])
        else:
            windows.append(Window(segment.first, segment.last, [segment]))
    for window in reversed(windows) if backward else windows:
        starts = range(window.first, window.last + 1, WINDOW_ROWS)
        for start in reversed(starts) if backward else starts:
            end = min(start + WINDOW_ROWS - 1, window.last)
            yield Window(start, end, [s for s in window.segments if s.first <= end and s.last >= start])


def find_events(files: SegmentFiles, segments: Iterable[Segment], stream_ids: pa.ChunkedArray, event_ids: pa.ChunkedArray) -> pa.Array:
    """The position of each of these events, row by row; null for one that is not in that stream."""
    wanted = pl.DataFrame({"stream_id": pl.from_arrow(stream_ids), "event_id": pl.from_arrow(event_ids)})
    lowest, highest = pc.min_max(stream_ids).values()
    there = [
        pl.from_arrow(files.read_columns(s, ["position", "stream_id", "event_id"])).join(wanted, on=["stream_id", "event_id"], how="semi")
        for s in segments
        if s.lowest_stream <= highest.as_py() and s.highest_stream >= lowest.as_py()
    ]
    if not there:
        return pa.nulls(len(wanted), pa.int64())
    found = pl.concat(there).unique(["stream_id", "event_id"])
    return wanted.join(found, on=["stream_id", "event_id"], how="left", maintain_order="left")["position"].to_arrow()


def position_at(files: SegmentFiles, segments: Iterable[Segment], moment: int) -> int:
    """The last position recorded by that microsecond; 0 before the first. Times never decrease with position."""
    newest = 0
    for segment in sorted(segments, key=lambda s: s.last, reverse=True):
        if segment.last <= newest:
            break
        if segment.recorded_until <= moment:
            newest = segment.last
        elif segment.recorded_from <= moment:
            times = files.read_columns(segment, ["position", "recorded_at"])
            by_then = times.filter(pc.less_equal(times["recorded_at"].cast(pa.int64()), moment))
            newest = max(newest, pc.max(by_then["position"]).as_py() or 0)
    return newest

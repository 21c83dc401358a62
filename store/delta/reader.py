"""Reads of the log: which files can hold what is asked, and log order put back one section at a time."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import replace
from itertools import chain, islice
from operator import itemgetter
from typing import Final

import polars as pl
import pyarrow as pa
import pyarrow.compute as pc

from store.delta import segment
from store.delta.actions import ARCHIVE, Segment
from store.delta.segment import Map, taken
from store.delta.segment_files import SegmentFiles, Span, meets, overlap
from store.errors import StorageError, StoreError, TableRefusedError
from store.schema import EVENTS
from store.selection import Selection
from store.shard import mark, shards_of

BATCH_ROWS: Final = 65_536
THREADS: Final = 2
"""So many decode one section together, file by file and then column by column, while the caller works on the one before."""
_LAST: Final = 2**63 - 1

Fresh = Callable[[], Sequence[Segment]]
"""The live files now, others' commits included. Asked when a file is gone: it was merged and vacuumed after the reader's list was made."""


def read_stream(
    files: SegmentFiles,
    segments: Iterable[Segment],
    stream_id: str,
    after: int,
    until: int | None,
    columns: Sequence[str] = EVENTS.names,
    spans: Sequence[Span] | None = None,
    fresh: Fresh | None = None,
) -> pa.Table:
    """The stream's events with versions in (after, until], by version. `spans`: positions outside of which it surely has none."""
    names = [*columns, *(name for name in ("version", "position") if name not in columns)]
    versions = None if after == 0 and until is None else (after + 1, _LAST if until is None else until)
    wanted = _holding(segments, stream_id, spans)
    try:
        parts = _newest_first(files, wanted, stream_id, names, spans, versions)
    except (StorageError, TableRefusedError) as error:
        live = others(wanted, fresh, error)
        parts = _newest_first(files, _holding(live, stream_id, spans), stream_id, names, spans, versions)
    if not parts:
        return EVENTS.empty_table().select(columns)
    # Files and sections with rows of one stream do not overlap in versions: sorting the files' first versions sorts the
    # rows, as within a file they are in order.
    events = pa.concat_tables(sorted(parts, key=lambda part: part["version"][0].as_py()))
    if versions is not None:                       # of versions before and after these, some may have been left out
        there = events["version"]
        events = events.filter(pc.and_(pc.greater_equal(there, versions[0]), pc.less_equal(there, versions[1])))
    return events.select(columns)


def may_hold(segments: Iterable[Segment], stream_id: str) -> bool:
    """Can any of these hold an event of the stream?"""
    return bool(_holding(segments, stream_id, None))


def version_at(
    files: SegmentFiles, segments: Sequence[Segment], stream_id: str, position: int, spans: Sequence[Span], fresh: Fresh | None = None
) -> int:
    """The version of the stream's last event up to that position; 0: there is none."""
    while True:
        newest, at = 0, 0
        try:
            for s in sorted(_holding(segments, stream_id, spans), key=lambda s: s.last, reverse=True):
                if s.last < at:
                    break
                if s.first <= position:
                    places = files.read_stream(s, stream_id, ["version", "position"], spans)
                    count = pl.Series(pl.from_arrow(places["position"])).search_sorted(position, "right")
                    if count and (there := places["position"][count - 1].as_py()) > at:
                        newest, at = places["version"][count - 1].as_py(), there
            return newest
        except (StorageError, TableRefusedError) as error:
            segments = others(segments, fresh, error)


def _newest_first(
    files: SegmentFiles, segments: Sequence[Segment], stream_id: str, names: Sequence[str], spans: Sequence[Span] | None, versions: Span | None
) -> list[pa.Table]:
    """What each file has of these versions. Versions rise with positions, so files older than the first wanted event stay closed."""
    parts, oldest, first = [], 0, versions[0] if versions else 1
    for newest in sorted(segments, key=lambda s: s.last, reverse=True):
        if newest.last < oldest:
            break
        if len(part := files.read_stream(newest, stream_id, names, spans, versions)):
            parts.append(part)
            if part["version"][0].as_py() <= first:
                oldest = part["position"][0].as_py()
    return parts


def _holding(segments: Iterable[Segment], stream_id: str, spans: Sequence[Span] | None) -> list[Segment]:
    own = mark(stream_id)
    folders = tuple(f"{prefix}shard={shard}/" for prefix in ("", ARCHIVE) for shard in shards_of(stream_id))
    return [
        s
        for s in segments
        if s.path.startswith(folders)              # first: of a large log it tells most, and quickly
        and s.lowest_stream <= stream_id <= s.highest_stream
        and (s.streams is None or stream_id in s.streams)
        and (s.marks is None or own in s.marks)
        and (spans is None or overlap(spans, s.first, s.last))
    ]


def read_all(
    files: SegmentFiles, segments: Sequence[Segment], selection: Selection, limit: int | None, backward: bool, fresh: Fresh | None = None
) -> Iterator[pa.RecordBatch]:
    """The wanted events in order of position (`backward`: reversed), in batches of BATCH_ROWS at most.

    Holds the events of four sections at most, and reads on in the live files when one of `segments` is gone. TableRefusedError:
    a file is missing or damaged that is still live.
    """
    last = max((s.last for s in segments), default=0)
    left, rest = limit, _narrowed(selection, limit, backward, last)
    while True:
        try:
            for first, end, events in _read_ahead(files, [s for s in segments if meets(s, rest)], rest, backward):
                if left is not None:
                    events = events.slice(0, left)
                    left -= len(events)
                rest = replace(rest, until=first - 1) if backward else replace(rest, after=end)
                yield from events.to_batches(max_chunksize=BATCH_ROWS)
                if left == 0:
                    return
            return
        except (StorageError, TableRefusedError) as error:
            segments = others(segments, fresh, error)


def read_columns(
    files: SegmentFiles, segments: Sequence[Segment], selection: Selection, columns: Sequence[str], fresh: Fresh | None = None
) -> pa.Table:
    """The wanted events in order of position, all at once and in these columns only, `position` among them. Errors as `read_all`."""
    while True:
        try:
            parts = [files.read_selected(s, selection, columns) for s in segments if meets(s, selection)]
            return pa.concat_tables([EVENTS.empty_table().select(columns), *parts]).sort_by("position")
        except (StorageError, TableRefusedError) as error:
            segments = others(segments, fresh, error)


def _narrowed(selection: Selection, limit: int | None, backward: bool, last: int) -> Selection:
    """Without other conditions a limit is a range of positions, as these are dense."""
    until = last if selection.until is None else min(selection.until, last)
    if limit is None or selection.narrow:
        return replace(selection, until=until)
    if backward:
        return replace(selection, after=max(selection.after, until - limit), until=until)
    return replace(selection, until=min(until, selection.after + limit))


def _read_ahead(
    files: SegmentFiles, segments: Sequence[Segment], selection: Selection, backward: bool
) -> Iterator[tuple[int, int, pa.Table]]:
    """Sections in reading order, each with its range of positions; the next one is decoded while the caller has one."""
    sections = _sections(segments, selection, backward)
    begun = list(islice(sections, 2))
    if len(begun) <= 1:                            # a short read is not worth a thread
        yield from ((first, last, read_section(files, holders, selection, backward)) for first, last, holders in begun)
        return
    ahead, workers = ThreadPoolExecutor(1, "alluvium-ahead"), ThreadPoolExecutor(THREADS, "alluvium-reader")
    coming: tuple[int, int, Future[pa.Table]] | None = None
    try:
        for first, last, holders in chain(begun, sections):
            before = coming
            coming = first, last, ahead.submit(read_section, files, holders, _clipped(selection, first, last), backward, workers.map)
            if before is not None:
                yield before[0], before[1], before[2].result()
        if coming is not None:
            yield coming[0], coming[1], coming[2].result()
    finally:
        for pool in (ahead, workers):
            pool.shutdown(wait=False, cancel_futures=True)


def _clipped(selection: Selection, first: int, last: int) -> Selection:
    return replace(selection, after=max(selection.after, first - 1), until=last)


def _sections(segments: Sequence[Segment], selection: Selection, backward: bool) -> Iterator[tuple[int, int, list[Segment]]]:
    """The aligned ranges of positions that hold wanted rows, clipped to them, each with its files.

    Found one after the other: a large log has tens of thousands, and a reader who wants the first should not wait for the last.
    """
    size, first, until = segment.SECTION_ROWS, selection.after + 1, selection.until
    assert until is not None
    spans = [((max(s.first, first) - 1) // size, (min(s.last, until) - 1) // size, s) for s in segments]
    coming = deque(sorted(((-high, -low, s) if backward else (low, high, s) for low, high, s in spans), key=itemgetter(0)))
    there: list[tuple[int, int, Segment]] = []
    place = 0
    while coming or there:
        place = place if there else coming[0][0]
        while coming and coming[0][0] <= place:
            there.append(coming.popleft())
        number = abs(place)
        yield max(number * size + 1, first), min((number + 1) * size, until), [s for *_, s in there]
        place += 1
        there = [span for span in there if span[1] >= place]


def read_section(files: SegmentFiles, segments: Sequence[Segment], selection: Selection, backward: bool = False, each: Map = map) -> pa.Table:
    """The wanted rows of these files, all at once, in log order or backward. `each`: `map`, or that of some threads."""
    events = gather(files, segments, selection, each)
    positions = pl.from_arrow(events["position"])
    assert isinstance(positions, pl.Series)
    if positions.is_sorted(descending=backward):
        return events.combine_chunks()
    return taken(events, positions.arg_sort(descending=backward).to_arrow(), each)


def gather(files: SegmentFiles, segments: Sequence[Segment], selection: Selection, each: Map = map) -> pa.Table:
    """The same, each file's rows in its own order."""
    parts = each(lambda s: files.read_selected(s, selection), sorted(segments, key=lambda s: s.first))
    return pa.concat_tables([EVENTS.empty_table(), *(part for part in parts if len(part))])


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
    for s in sorted(segments, key=lambda s: s.last, reverse=True):
        if s.last <= newest:
            break
        if s.recorded_until <= moment:
            newest = s.last
        elif s.recorded_from <= moment:
            newest = max(newest, files.last_recorded_by(s, moment))
    return newest


def others(segments: Sequence[Segment], fresh: Fresh | None, error: StoreError) -> Sequence[Segment]:
    """The live files, after a read of `segments` failed; the error stands if all of these are still live."""
    if fresh is not None:
        live = fresh()
        if not {s.path for s in segments} <= {s.path for s in live}:
            return live
    raise error

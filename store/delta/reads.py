"""Reads of one log, as far as it is known here: from its files, or from what was read before."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Final

import polars as pl
import pyarrow as pa
import pyarrow.compute as pc

from store.delta import reader
from store.delta.actions import Segment
from store.delta.heads import Heads
from store.delta.log import Log
from store.delta.segment_files import SegmentFiles
from store.delta.stream_cache import StreamCache
from store.retention.policy import RETENTION
from store.schema import EVENTS
from store.selection import Selection

WHOLE_EVENTS: Final = 10_000
"""So many of a stream's events at most are remembered once they are read: from where a reader began to the end, whatever its limit."""


class Reads:
    """Safe to use from many threads at once. A file that was merged and removed meanwhile is looked for in the newest state of the log."""

    def __init__(self, log: Log, files: SegmentFiles, heads: Heads, refresh: Callable[[], object], earlier: Reads | None = None) -> None:
        """`refresh`: learn what others committed. `earlier`: of the log in which this one's streams may have begun, at lower versions."""
        self._log, self._files, self._heads, self._refresh, self._earlier = log, files, heads, refresh, earlier
        self._streams = StreamCache()
        self.forget = self._streams.forget

    def live(self) -> Sequence[Segment]:
        """The files of the newest state."""
        with self._log.lock:
            self._refresh()
            return self._log.segments()

    # The log --------------------------------------------------------------------------------------------------

    def selected(self, selection: Selection, limit: int | None = None, backward: bool = False) -> Iterator[pa.RecordBatch]:
        return reader.read_all(self._files, self._log.segments(), selection, limit, backward, self.live)

    def rows(self, selection: Selection, columns: Sequence[str] = EVENTS.names) -> pa.Table:
        """The same, in order of position, all at once."""
        return reader.read_columns(self._files, self._log.segments(), selection, columns, self.live)

    def recorded_by(self, moment: int) -> int:
        """The last position recorded by that microsecond."""
        known = self._log.recorded_by(moment)
        return reader.position_at(self._files, self._log.segments(), moment) if known is None else known

    def find(self, stream_ids: pa.ChunkedArray, event_ids: pa.ChunkedArray) -> pa.Array:
        """The positions of these events; null: there is no such event in its stream."""
        found = self._found(stream_ids, event_ids)
        return found if self._earlier is None or not found.null_count else pc.coalesce(found, self._earlier.find(stream_ids, event_ids))

    def rules(self, version: int, position: int) -> pa.Table:
        """Of the events of `$retention` past that version, none of which lies before that position: position, type, data.

        By the statistics of the files alone it is told that there is nothing to read, as in most logs.
        """
        spans = [(position, self._log.head)]
        return reader.read_stream(self._files, self._log.segments(), RETENTION, version, None, ["position", "type", "data"], spans, self.live)

    def may_have_rules(self) -> bool:
        """False: by the statistics of the files nothing was ever said in `$retention`."""
        return reader.may_hold(self._log.segments(), RETENTION)

    # One stream -----------------------------------------------------------------------------------------------

    def version(self, stream_id: str) -> int:
        with self._log.lock:
            return self._heads.version(stream_id)

    def version_at(self, stream_id: str, position: int) -> int:
        with self._log.lock:
            spans = [span for span in self._heads.spans(stream_id, self._log.head) if span[0] <= position]
        return reader.version_at(self._files, self._log.segments(), stream_id, position, spans, self.live)

    def version_by(self, stream_id: str, moment: int) -> int:
        """The version that it had at that microsecond."""
        return self.version_at(stream_id, self.recorded_by(moment))

    def known_stream(self, stream_id: str, after: int, limit: int | None) -> pa.Table:
        """From memory as far as the stream was read before: who follows it reads what is new, not all of it again."""
        with self._log.lock:
            version = self._heads.known(stream_id)
        if version is None or version - after > WHOLE_EVENTS:
            return self.stream(stream_id, after, None if limit is None else after + limit, EVENTS.names)
        if version <= after:
            return EVENTS.empty_table()
        events: pa.Table | None = None
        while events is None:                      # else some were erased while it was read
            forgotten, events = self._streams.forgotten, self._streams.get(stream_id, after)
            last, position = (events["version"][-1].as_py(), events["position"][-1].as_py()) if len(events) else (after, 0)
            if last < version:
                events = self._streams.add(stream_id, self.stream(stream_id, last, None, EVENTS.names, position + 1), forgotten)
        return events.slice(after + 1 - events["version"][0].as_py(), limit)

    def stream(self, stream_id: str, after: int, until: int | None, columns: Sequence[str], position: int = 1) -> pa.Table:
        """Its events at versions (after, until]. `position`: no event that is wanted lies before it in this log."""
        here = partial(self._stream_here, stream_id, until=until, columns=columns)
        came = 0 if self._earlier is None else self._earlier.version(stream_id)
        if after > came or self._earlier is None:
            return here(after, position=position)
        there = self._earlier.stream(stream_id, after, came if until is None else min(until, came), columns) if after < came else None
        if until is not None and until <= came:
            return EVENTS.empty_table().select(columns) if there is None else there
        events = here(came, position=1)            # a position that the caller knows is one of the earlier log
        return events if there is None else pa.concat_tables([there, events])

    # Below ----------------------------------------------------------------------------------------------------

    def _stream_here(self, stream_id: str, after: int, until: int | None, columns: Sequence[str], position: int) -> pa.Table:
        with self._log.lock:
            segments, spans = self._log.segments(), self._heads.spans(stream_id, self._log.head)
        spans = [(max(first, position), last) for first, last in spans if last >= position]
        return reader.read_stream(self._files, segments, stream_id, after, until, columns, spans, self.live)

    def _found(self, stream_ids: pa.ChunkedArray, event_ids: pa.ChunkedArray) -> pa.Array:
        earliest = self._heads.earliest(pl.Series(stream_ids).unique())
        if earliest is None:                       # streams that do not exist hold no events: nothing need be read
            return pa.nulls(len(event_ids), pa.int64())
        return reader.find_events(self._files, [s for s in self._log.segments() if s.last >= earliest], stream_ids, event_ids)

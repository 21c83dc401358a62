"""Streams as far as they were read: who asks again reads what was appended since, and nothing if nothing was."""

from __future__ import annotations

import threading
from collections import OrderedDict
from typing import Final

import pyarrow as pa
import pyarrow.compute as pc

from store.schema import EVENTS

CACHED_BYTES: Final = 16 << 20
CHUNKS: Final = 32
"""A table of more pieces is made one: each costs time in every use of it."""


class StreamCache:
    """The events of streams from some version on, without a gap, by id. Tables do not change, so they are handed out as they are."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._streams: OrderedDict[str, tuple[pa.Table, int]] = OrderedDict()
        self._bytes = 0
        self.forgotten = 0
        """How often it had to forget: what was read before the last time must not be added."""

    def forget(self) -> None:
        with self._lock:
            self._streams.clear()
            self._bytes = 0
            self.forgotten += 1

    def get(self, stream_id: str, after: int) -> pa.Table:
        """The events of the stream that are here, from version `after` + 1 or an earlier one on; perhaps none."""
        with self._lock:
            if stream_id not in self._streams:
                return EVENTS.empty_table()
            self._streams.move_to_end(stream_id)
            events = self._streams[stream_id][0]
            return events if len(events) and _first(events) <= after + 1 else EVENTS.empty_table()

    def add(self, stream_id: str, new: pa.Table, forgotten: int = 0) -> pa.Table | None:
        """Remember these events; all that are here then. They follow those that are here, or, where they do not, replace them.

        Others may have added some of them meanwhile. `forgotten`: as it was before they were read, and before those were asked for that they
        follow; None: some of what they say may be erased by now, so read again.
        """
        new_bytes = new.nbytes                     # asked of few pieces, before the lock: it looks at each buffer
        with self._lock:
            if forgotten != self.forgotten:
                return None
            old, old_bytes = self._streams.pop(stream_id, (EVENTS.empty_table(), 0))
            if len(old) and len(new):
                last = old["version"][-1].as_py()
                if not _first(old) <= _first(new) <= last + 1:
                    old, self._bytes = EVENTS.empty_table(), self._bytes - old_bytes
                    old_bytes = 0
                else:
                    new = new.filter(pc.greater(new["version"], last))
            events = pa.concat_tables([old, new]) if len(old) else new
            if events.column(0).num_chunks > CHUNKS:
                events = events.combine_chunks()
            self._streams[stream_id] = events, old_bytes + new_bytes
            self._bytes += new_bytes
            while self._bytes > CACHED_BYTES:
                self._bytes -= self._streams.popitem(last=False)[1][1]
            return events


def _first(events: pa.Table) -> int:
    return int(events["version"][0].as_py())

"""Streams as they were read last: who asks again, and nobody appended meanwhile, gets the same table."""

from __future__ import annotations

import threading
from collections import OrderedDict
from typing import Final

import pyarrow as pa

CACHED_BYTES: Final = 16 << 20


class StreamCache:
    """Whole streams by id, each of the version that it had. Tables do not change, so they are handed out as they are."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._streams: OrderedDict[str, pa.Table] = OrderedDict()
        self._bytes = 0

    def get(self, stream_id: str, version: int) -> pa.Table | None:
        """All events of the stream, if they were read when it was at this version."""
        with self._lock:
            events = self._streams.get(stream_id)
            if events is None or len(events) != version:
                return None
            self._streams.move_to_end(stream_id)
            return events

    def put(self, stream_id: str, events: pa.Table) -> None:
        """Remember a whole stream. What it was cut from is let go."""
        events = events.combine_chunks() if events.nbytes < CACHED_BYTES else None
        with self._lock:
            if (old := self._streams.pop(stream_id, None)) is not None:
                self._bytes -= old.nbytes
            if events is not None:
                self._streams[stream_id] = events
                self._bytes += events.nbytes
            while self._bytes > CACHED_BYTES:
                self._bytes -= self._streams.popitem(last=False)[1].nbytes

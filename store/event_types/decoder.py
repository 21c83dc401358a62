"""Rows become objects: the newest shapes straight from their text, older ones lifted first."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Any, Final

import pyarrow as pa

from store.event_types.ladder import Ladder
from store.event_types.raw_event import RawEvent
from store.event_types.step import ShapeName
from store.event_types.unreadable import unreadable
from store.event_types.upcasting import upcast

Decode = Callable[[str], Any]

_SHAPE: Final = ["type", "schema_version", "data"]
_MISFIT: Final = "give the class a default or a wider type; if its shape changed, raise schema_version and add a step"


class Decoder:
    """`newest`: how data of each type's current version is decoded."""

    def __init__(self, ladder: Ladder, newest: Mapping[ShapeName, Decode]) -> None:
        self._ladder, self._newest = ladder, newest

    def decode(self, events: pa.RecordBatch) -> list[Any]:
        """The objects in the order of the rows. UnreadableEventError: the first row that cannot be read."""
        shapes = list(zip(events.column("type").to_pylist(), events.column("schema_version").to_pylist(), strict=True))
        distinct = set(shapes)
        if any(map(self._ladder.lifts, distinct)):
            return self.decode(upcast(self._ladder, events))
        ways = {shape: self._newest.get(shape) or _raw(shape) for shape in distinct}
        decoded: list[Any] = []
        put = decoded.append
        try:
            for shape, text in zip(shapes, events.column("data").to_pylist(), strict=True):   # what a replay costs
                put(ways[shape](text))
        except Exception as error:                 # the classes are the user's: their own checks may raise anything
            reason = f"the data does not fit its class ({type(error).__name__}: {error})"
            raise unreadable(events, len(decoded), reason, _MISFIT) from error
        return decoded

    def decode_text(self, type: str, schema_version: int, data: str) -> list[Any]:
        """The objects of one event."""
        shape = type, schema_version
        if not self._ladder.lifts(shape):
            with suppress(Exception):              # told below, as of any row
                return [(self._newest.get(shape) or _raw(shape))(data)]
        return self.decode(pa.record_batch([pa.array([type]), pa.array([schema_version], pa.int32()), pa.array([data])], _SHAPE))


def _raw(shape: ShapeName) -> Decode:
    name, version = shape
    return lambda text: RawEvent(name, version, text.encode())

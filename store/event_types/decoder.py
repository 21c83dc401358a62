"""Events become objects: the newest shapes straight from their text, older ones lifted first."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

import pyarrow as pa
import pyarrow.compute as pc

from store.errors import InvalidEventError
from store.event_types.erased_event import ErasedEvent
from store.event_types.ladder import Ladder
from store.event_types.misfit import misfit
from store.event_types.raw_event import RawEvent
from store.event_types.step import ShapeName
from store.event_types.unreadable import unreadable
from store.event_types.upcasting import UNLIFTABLE, husk_shape, lift, upcast
from store.husk import are_husks, erasure_of, has_husks
from store.privacy.opening import redact_data
from store.privacy.token import redact_textless

Decode = Callable[[str], Any]

_MISFIT: Final = "give the class a default or a wider type; if its shape changed, raise schema_version and add a step"
_MEND: Final = "mend the data, or give the event another type or schema_version"


class Decoder:
    """`newest`: how data of each type's current version is decoded. `personal`: some of it may be tokens that its class could not read."""

    def __init__(self, ladder: Ladder, newest: Mapping[ShapeName, Decode], personal: bool = False) -> None:
        self._ladder, self._newest, self._personal = ladder, newest, personal

    def decode(self, events: pa.RecordBatch) -> list[Any]:
        """The objects in the order of the rows. UnreadableEventError: the first row that cannot be read."""
        if has_husks(events.column("data")):
            return self._around_husks(upcast(self._ladder, events))
        shapes = list(zip(events.column("type").to_pylist(), events.column("schema_version").to_pylist(), strict=True))
        distinct = set(shapes)
        if any(map(self._ladder.lifts, distinct)):
            return self.decode(upcast(self._ladder, events))
        if self._personal:
            events = redact_data(events)
        ways = {shape: self._newest.get(shape) or _raw(shape) for shape in distinct}
        decoded: list[Any] = []
        put = decoded.append
        try:
            for shape, text in zip(shapes, events.column("data").to_pylist(), strict=True):   # what a replay costs
                put(ways[shape](text))
        except Exception as error:                 # the classes are the user's: their own checks may raise anything
            reason = f"the data does not fit its class ({type(error).__name__}: {error})"
            bare = f"{_field(error, events, len(decoded))} does not fit its class ({type(error).__name__})"
            raise unreadable(events, len(decoded), reason, _MISFIT, bare) from error
        return decoded

    def _around_husks(self, events: pa.RecordBatch) -> list[Any]:
        husks = are_husks(events.column("data"))
        told = iter(self.decode(events.filter(pc.invert(husks))))
        rows = zip(husks.to_pylist(), events.column("type").to_pylist(), events.column("data").to_pylist(), strict=True)
        return [ErasedEvent(type, str(erasure_of(data))) if husk else next(told) for husk, type, data in rows]

    def decode_fresh(self, shape: ShapeName, text: str, place: str = "") -> list[Any]:
        """The objects of one event that is not in the log yet. InvalidEventError: it could not be read; `place` goes into its message."""
        if (erasure_id := erasure_of(text)) is not None:
            return [ErasedEvent(husk_shape(self._ladder, shape)[0], erasure_id)]
        if not self._ladder.lifts(shape):
            return [self._fresh(shape, text, place)]
        try:
            pieces = lift(self._ladder, shape, text)
        except UNLIFTABLE as error:
            raise InvalidEventError("data", text, f"{place}cannot be lifted from {shape[0]} {shape[1]} ({error})", _MEND) from error
        return [self._fresh((piece.type, piece.schema_version), piece.data, place) for piece in pieces]

    def _fresh(self, shape: ShapeName, text: str, place: str) -> Any:
        decode = self._newest.get(shape) or _raw(shape)
        try:
            return decode(redact_textless(text))
        except Exception as error:                 # as above
            found = misfit(error, text)
            problem = f"{place}does not fit {shape[0]} {shape[1]} ({found.reason})"
            raise InvalidEventError(found.field, found.value, problem, _MEND) from error


def _field(error: Exception, events: pa.RecordBatch, row: int) -> str:
    """Which one is amiss, at the top of the data: the names below may be personal themselves."""
    try:
        return ".".join(misfit(error, events.column("data")[row].as_py()).field.split(".")[:2])
    except Exception:                              # whatever a class raises, and calls it
        return "the data"


def _raw(shape: ShapeName) -> Decode:
    name, version = shape
    return lambda text: RawEvent(name, version, text.encode())

"""Handlers at work: keys of a batch's events, then one event after another applied to the rows of these keys."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final, TypeAlias

import pyarrow as pa

from projections.errors import ApplyError
from projections.forms.form import Changes, Declared, Touched
from projections.forms.row_shape import RowShape
from projections.place import Place, Places
from store import EventTypes, RawEvent

Handler: TypeAlias = Callable[[Any, Any, Place], Any]
"""(row or None, event, its place) -> the row from now on, or None: there is none."""

_REFUSALS: Final = (ValueError, OverflowError, TypeError)
"""What Arrow raises for values that it cannot hold."""


class HandlersFold:
    """The handlers at work. ApplyError names the very event."""

    def __init__(
        self, declared: Declared, types: EventTypes, handlers: Mapping[str, Handler], key: Callable[[Any, Place], Any], row: type
    ) -> None:
        self._name, self._types, self._handlers, self._key = declared.name, types, handlers, key
        self._shape = RowShape(declared.columns, declared.key, row)

    def touched(self, events: pa.Table) -> Touched:
        decoded, places = self._types.decode(events), Places(events)
        keys: list[Any] = []
        try:
            for event, place in zip(decoded, places, strict=True):
                if event.__class__ is RawEvent:
                    raise ValueError(f"it is of schema version {event.schema_version}, which this code does not know: run newer code")
                key = self._key(event, place)
                self._shape.check_key(key)
                keys.append(key)
        except Exception as error:  # the function is the user's: it may raise anything
            raise self._failed(places[len(keys)], "its key", error) from error
        distinct = list(dict.fromkeys(keys))
        return Touched(self._table(self._shape.keys, distinct, keys, places), lambda current: self._changes(current, decoded, keys, places))

    def _changes(self, current: pa.Table, decoded: Sequence[Any], keys: Sequence[Any], places: Places) -> Changes:
        there = {self._shape.key_of(row): row for row in self._shape.read(current)}
        rows = dict(there)
        self._handle(rows, decoded, keys, places)
        gone = [key for key in there if key not in rows]
        put = self._table(lambda chosen: self._shape.table(map(rows.__getitem__, chosen)), list(rows), keys, places)
        return Changes(put, self._shape.keys(gone))

    def _handle(self, rows: dict[Any, Any], decoded: Sequence[Any], keys: Sequence[Any], places: Places) -> None:
        """The loop that every event goes through."""
        handlers, check, place = [self._handlers[type] for type in places.columns["type"]], self._shape.check, places[0]
        try:
            for handler, event, key, place in zip(handlers, decoded, keys, places, strict=True):
                row = handler(rows.get(key), event, place)
                if row is None:
                    rows.pop(key, None)
                else:
                    check(row, key)
                    rows[key] = row
        except Exception as error:  # as above
            raise self._failed(place, "its handler", error) from error

    def _table(self, made: Callable[[Sequence[Any]], pa.Table], distinct: Sequence[Any], keys: Sequence[Any], places: Places) -> pa.Table:
        """A table of one row a key; if Arrow refuses it, the last event of the key whose row it is is to blame."""
        try:
            return made(distinct)
        except _REFUSALS as error:
            blamed = next(key for key in distinct if _is_refused(made, key))
            place = next(place for place, key in zip(reversed(places), reversed(keys), strict=True) if key == blamed)
            raise self._failed(place, "its row", error) from error

    def _failed(self, place: Place, what: str, error: Exception) -> ApplyError:
        problem = str(error) if type(error) is ValueError else f"{type(error).__name__}: {error}"
        told = {"stream_id": place.stream_id, "type": place.type, "correlation_id": place.correlation_id}
        return ApplyError(self._name, place.position, place.position, f"{what}: {problem}", **told)


def _is_refused(made: Callable[[Sequence[Any]], pa.Table], key: Any) -> bool:
    try:
        made([key])
    except _REFUSALS:
        return True
    return False

"""Husks: what is left of an event whose payload was erased. Its place, its ids, its type and its times stay.

Its tags stay, too, unless these are erased as well.
"""

from __future__ import annotations

from typing import Final

import pyarrow as pa
import pyarrow.compute as pc

from store.schema import EVENTS

ERASED: Final = "$erased"
"""The one key in the data of a husk; its value is the id of the erasure."""
_HUSK: Final = r'^\{"\$erased":"[0-9a-f-]{36}"\}$'
_MARK: Final = f'{{"{ERASED}"'
_BEFORE_ID: Final = f'{_MARK}:"'
_START: Final = len(_BEFORE_ID)


def husk_data(erasure_id: str) -> str:
    """The data of every event that this erasure emptied. `erasure_id`: a UUID."""
    return f'{_BEFORE_ID}{erasure_id}"}}'


def erasure_of(data: str) -> str | None:
    """The id of the erasure that left this behind; None: it is no husk's data."""
    if len(data) != _START + 38 or not data.startswith(_BEFORE_ID):
        return None
    return data[_START : _START + 36]


def may_begin_as_husk(texts: str) -> bool:
    """Quick, for many texts joined: False, none of them begins as a husk."""
    return _MARK in texts


def begins_as_husk(data: str) -> bool:
    """Is it a husk's, or might somebody take it for one? No application's event begins so."""
    return data.startswith(_MARK)


def no_husks(data: pa.ChunkedArray, metadata: pa.ChunkedArray | None) -> pa.ChunkedArray:
    """Which of these begin as husks and are none: a husk is what `husked` leaves, to the byte, and has no metadata."""
    begin = pc.starts_with(data, _MARK)
    if not pc.any(begin).as_py():
        return begin
    whole = are_husks(data) if metadata is None else pc.and_(are_husks(data), metadata.is_null())
    return pc.and_not(begin, whole)


def has_husks(data: pa.ChunkedArray | pa.Array) -> bool:
    """Is one of these data a husk's? Asked of every batch that is read, so it is quick where none is."""
    return bool(pc.any(pc.starts_with(data, _BEFORE_ID)).as_py()) and bool(pc.any(are_husks(data)).as_py())


def are_husks(data: pa.ChunkedArray | pa.Array) -> pa.ChunkedArray | pa.Array:
    """Which of these data are those of husks."""
    return pc.match_substring_regex(data, _HUSK)


def without_husks(events: pa.Table) -> pa.Table:
    """The events that still say something."""
    return events.filter(pc.invert(are_husks(events["data"]))) if has_husks(events["data"]) else events


def husked(events: pa.Table, chosen: pa.Array, erasure_id: str, tags: bool = False) -> pa.Table:
    """The same rows in the same order, the chosen ones as husks. `tags`: without their tags, too. One that is a husk already keeps its erasure."""
    fresh = pc.and_not(chosen, are_husks(events["data"]))
    events = with_said(events, "data", pc.if_else(fresh, husk_data(erasure_id), events["data"]))
    events = with_said(events, "metadata", pc.if_else(chosen, pa.scalar(None, pa.string()), events["metadata"]))
    return without_tags(events, chosen) if tags else events


def without_tags(events: pa.Table, chosen: pa.Array) -> pa.Table:
    """The same rows, the chosen ones with no tags."""
    column = events["tags"].combine_chunks()
    empty = pa.array([[]], column.type)
    both = pa.concat_arrays([column, empty])
    places = pc.if_else(chosen, pa.scalar(len(column), pa.int64()), pa.array(range(len(column)), pa.int64()))
    return with_said(events, "tags", both.take(places))


def with_said(events: pa.Table, name: str, column: pa.Array | pa.ChunkedArray) -> pa.Table:
    place = events.schema.get_field_index(name)
    return events.set_column(place, EVENTS.field(name), column)

"""An erasure held against one log: which of its events are meant, and what becomes of them."""

from __future__ import annotations

import uuid
from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from functools import reduce
from typing import Any, Final

import duckdb
import polars as pl
import pyarrow as pa
import pyarrow.compute as pc

from store.draft import RESERVED
from store.erasing.erasable import Log
from store.erasing.erasure import Erasure
from store.erasing.json_path import Path, parse, parsed, replaced, sql_path
from store.errors import InvalidEventError, QueryRefusedError
from store.husk import are_husks, husked, with_said, without_tags
from store.query import carries
from store.rewrite import TOUCHED, Extent, lies
from store.schema import EVENTS
from store.shard import stream_hash
from store.sql_guard import SqlLimits

_LIMITS: Final = SqlLimits(seconds=3600.0, rows=2**40)
"""Of a condition in SQL: it is asked once of the whole log, and every position that it finds is kept in memory."""


_NAMESPACE: Final = uuid.UUID(bytes=b"alluvium:erasure")
ID_SIGNS: Final = 6
"""So many hex signs of an event's id tell it from another one that came to its position in another history of the log."""


def positions_of(log: Log, erasure: Erasure, head: int) -> pa.Array | None:
    """Where the events are for which the condition and the field hold, in order; None: nothing is said of either.

    InvalidEventError: DuckDB refuses the condition.
    """
    conditions, params = [], dict[str, Any]()
    if erasure.where is not None:
        conditions.append(f"({erasure.where}\n)")
    if erasure.where_field is not None:
        path, value = erasure.where_field
        conditions.append("json_extract_string(data, $path)::varchar = $value")
        params = {"path": sql_path(parse(path)), "value": value}
    if not conditions:
        return None
    query = f"select position from events where {' and '.join(conditions)}"
    try:
        found = log.ask(query, params or None, head, limits=_LIMITS)
    except (duckdb.Error, QueryRefusedError) as error:
        raise InvalidEventError("where", erasure.where, f"is refused ({error})", "give a condition in SQL on the columns of the log") from error
    return pc.unique(found["position"].cast(pa.int64())).sort()


class Choice:
    """The `Rewrite` of an erasure. `positions`: where alone events may be meant, in order. `ends`: how the ids of those events end, in hex."""

    def __init__(self, erasure: Erasure, erasure_id: str, head: int, positions: pa.Array | None = None, ends: pa.Array | None = None) -> None:
        self._erasure, self._rewrite_id, self._positions, self._ends = erasure, erasure_id, positions, ends
        self._places = pl.Series(pl.from_arrow(pa.array([], pa.int64()) if positions is None else positions))
        self._until = head if erasure.until is None else min(head, erasure.until)
        self._streams = None if erasure.streams is None else sorted(set(erasure.streams))
        self._hashes = sorted(map(stream_hash, self._streams or ()))
        self._types = None if erasure.types is None else sorted(set(erasure.types))
        self._fields: Sequence[tuple[Path, bytes]] = () if erasure.fields is None else parsed(erasure.fields)

    @property
    def rewrite_id(self) -> str:
        return self._rewrite_id

    @property
    def until(self) -> int:
        return self._until

    @property
    def columns(self) -> Sequence[str]:
        return ("position", "stream_id", "event_id", "type", "tags", "data", "metadata")

    @property
    def told(self) -> pa.Schema:
        return TOUCHED

    def meets(self, extent: Extent) -> bool:
        if extent.last <= self._erasure.after or extent.first > self._until:
            return False
        if self._streams is not None and not extent.may_hold(self._streams, self._hashes):
            return False
        if self._types is not None and not lies(self._types, extent.lowest_type, extent.highest_type):
            return False
        if self._erasure.query is not None and not self._erasure.query.meets_types(extent.lowest_type, extent.highest_type):
            return False
        return self._positions is None or len(self._near(extent.first, extent.last)[0]) > 0

    def chosen(self, events: pa.Table) -> pa.Array:
        meant = reduce(pc.and_, self._meant(events))
        meant = meant.combine_chunks() if isinstance(meant, pa.ChunkedArray) else meant
        return pc.and_(meant, self._says_too_much(events, meant)) if pc.any(meant).as_py() else meant

    def changed(self, events: pa.Table, chosen: pa.Array) -> pa.Table:
        if self._erasure.whole:
            return husked(events, chosen, self._rewrite_id, self._erasure.tags)
        events = with_said(events, "data", pa.array(self._replaced(events["data"], chosen), pa.string()))
        if self._erasure.metadata:
            events = with_said(events, "metadata", pc.if_else(chosen, pa.scalar(None, pa.string()), events["metadata"]))
        return without_tags(events, chosen) if self._erasure.tags else events

    # Which --------------------------------------------------------------------------------------------------------

    def _meant(self, events: pa.Table) -> list[Any]:
        position = events["position"]
        masks = [pc.greater(position, self._erasure.after), pc.less_equal(position, self._until)]
        masks.append(pc.invert(pc.starts_with(events["stream_id"], RESERVED)))
        if self._streams is not None:
            low, high = pc.min_max(events["stream_id"]).values()
            masks.append(pc.is_in(events["stream_id"], pa.array(_between(self._streams, low.as_py(), high.as_py()), pa.string())))
        if self._types is not None:
            masks.append(pc.is_in(events["type"], pa.array(self._types, pa.string())))
        if self._erasure.tag is not None:
            masks.append(carries(events["tags"], self._erasure.tag))
        if self._erasure.query is not None:
            masks.append(self._erasure.query.mask(events))
        if self._positions is not None:
            low, high = pc.min_max(position).values()
            near, ends = self._near(low.as_py(), high.as_py())
            masks.append(pc.is_in(position, near))
            if ends is not None:
                ends = ends.take(pc.index_in(position.combine_chunks(), near))
                masks.append(pc.fill_null(pc.equal(pc.utf8_slice_codeunits(events["event_id"], -ID_SIGNS), ends), False))
        return [mask.combine_chunks() if isinstance(mask, pa.ChunkedArray) else mask for mask in masks]

    def _says_too_much(self, events: pa.Table, meant: pa.Array) -> pa.Array:
        """Is there still something to take away?"""
        data, metadata = events["data"].combine_chunks(), events["metadata"].combine_chunks()
        husks = are_husks(data)
        if self._erasure.whole:
            more = pc.or_(pc.invert(husks), metadata.is_valid())
        else:
            after = pa.array(self._replaced(data, pc.and_not(meant, husks)), pa.string())
            more = pc.not_equal(data, after)
            if self._erasure.metadata:
                more = pc.or_(more, metadata.is_valid())
        if self._erasure.tags:
            more = pc.or_(more, pc.greater(pc.list_value_length(events["tags"].combine_chunks()), 0))
        return more

    def _replaced(self, data: pa.Array | pa.ChunkedArray, chosen: pa.Array) -> list[str]:
        return [
            replaced(text, self._fields) if is_chosen else text for text, is_chosen in zip(data.to_pylist(), chosen.to_pylist(), strict=True)
        ]

    # Where --------------------------------------------------------------------------------------------------------

    def _near(self, first: int, last: int) -> tuple[pa.Array, pa.Array | None]:
        """The positions between these two, and their ends."""
        assert self._positions is not None
        low, high = self._places.search_sorted(first), self._places.search_sorted(last, "right")
        return self._positions.slice(low, high - low), None if self._ends is None else self._ends.slice(low, high - low)


class Meant(Choice):
    """The same events, those too that say nothing any more."""

    def _says_too_much(self, events: pa.Table, meant: pa.Array) -> pa.Array:
        return meant


class Several:
    """Erasures of one log in their order, as one rewrite: an event becomes what the last of them makes of it, if it is not that already."""

    def __init__(self, choices: Sequence[Choice]) -> None:
        self._choices = choices

    @property
    def rewrite_id(self) -> str:
        ids = [choice.rewrite_id for choice in self._choices]
        return ids[0] if len(set(ids)) == 1 else str(uuid.uuid5(_NAMESPACE, "".join(ids)))

    @property
    def until(self) -> int:
        return max(choice.until for choice in self._choices)

    @property
    def columns(self) -> Sequence[str]:
        return list(EVENTS.names)

    @property
    def told(self) -> pa.Schema:
        return TOUCHED

    def meets(self, extent: Extent) -> bool:
        return any(choice.meets(extent) for choice in self._choices)

    def chosen(self, events: pa.Table) -> pa.Array:
        after = self.changed(events, None)
        differs = pc.not_equal(events["data"], after["data"])
        differs = pc.or_(differs, pc.not_equal(events["metadata"].is_valid(), after["metadata"].is_valid()))
        differs = pc.or_(differs, pc.not_equal(pc.list_value_length(events["tags"]), pc.list_value_length(after["tags"])))
        return differs.combine_chunks()

    def changed(self, events: pa.Table, chosen: pa.Array | None) -> pa.Table:
        for choice in self._choices:
            events = choice.changed(events, choice.chosen(events))
        return events


def _between(names: Sequence[str], lowest: str, highest: str) -> Sequence[str]:
    return names[bisect_left(names, lowest) : bisect_right(names, highest)]

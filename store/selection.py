"""Which events of the log a reader wants, and the three places where that is asked: files, row groups, rows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import pyarrow as pa
import pyarrow.compute as pc

from store.errors import InvalidEventError


@dataclass(frozen=True, slots=True)
class Selection:
    """Positions in (after, until]; of any of these types, in any of these categories, carrying all of these tags.

    None means no restriction; an empty sequence selects nothing.
    """

    after: int = 0
    until: int | None = None
    types: Sequence[str] | None = None
    categories: Sequence[str] | None = None
    tags: Sequence[str] | None = None

    def __post_init__(self) -> None:
        for field in ("types", "categories", "tags"):
            if isinstance(names := getattr(self, field), str):     # its letters would be taken for names
                raise InvalidEventError(field, names, "is one str", "give a list of str")

    @property
    def narrow(self) -> bool:
        """Does it ask for more than a range of positions?"""
        return self.types is not None or self.categories is not None or bool(self.tags)

    @property
    def columns(self) -> list[str]:
        """The columns that tell whether a row is wanted."""
        asked = {"type": self.types is not None, "stream_id": self.categories is not None, "tags": bool(self.tags)}
        return ["position", *(name for name in asked if asked[name])]

    def covers_positions(self, first: int, last: int) -> bool:
        return first > self.after and (self.until is None or last <= self.until)

    def meets_positions(self, first: int, last: int) -> bool:
        return last > self.after and (self.until is None or first <= self.until)

    def meets_types(self, lowest: str, highest: str) -> bool:
        return self.types is None or any(lowest <= t <= highest for t in self.types)

    def meets_streams(self, lowest: str, highest: str) -> bool:
        """Can a stream of a wanted category lie between these two? A category's streams run from `c` to before `c.`."""
        return self.categories is None or any(lowest < f"{c}." and c <= highest for c in self.categories)

    def filter(self, events: pa.Table) -> pa.Table:
        """The wanted rows; needs only the columns that the selection names."""
        mask = pc.greater(events["position"], self.after)
        if self.until is not None:
            mask = pc.and_(mask, pc.less_equal(events["position"], self.until))
        if self.types is not None:
            mask = pc.and_(mask, pc.is_in(events["type"], pa.array(self.types, pa.string())))
        if self.categories is not None:
            mask = pc.and_(mask, pc.is_in(category(events["stream_id"]), pa.array(self.categories, pa.string())))
        for tag in self.tags or ():
            mask = pc.and_(mask, _carries(events["tags"].combine_chunks(), tag))
        return events.filter(mask)


def category(stream_id: pa.ChunkedArray) -> pa.ChunkedArray:
    """The part before the first `-`, or the whole id without one."""
    return pc.replace_substring_regex(stream_id, pattern="(?s)-.*$", replacement="")


def _carries(tags: pa.ListArray | pa.ChunkedArray, tag: str) -> pa.Array:
    if isinstance(tags, pa.ChunkedArray):
        tags = pa.concat_arrays(tags.chunks) if tags.num_chunks else pa.array([], tags.type)
    holders = pc.list_parent_indices(tags).filter(pc.equal(pc.list_flatten(tags), tag))
    return pc.is_in(pa.array(range(len(tags)), pa.int64()), holders.cast(pa.int64()))

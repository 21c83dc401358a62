"""Which events of the log a reader wants, and the three places where that is asked: files, row groups, rows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import pyarrow as pa
import pyarrow.compute as pc

from store.errors import InvalidEventError
from store.query import Query, carries
from store.shard import NAME, in_shards, meets


@dataclass(frozen=True, slots=True)
class Selection:
    """Positions in (after, until]; of any of these types, in any of these categories, carrying all of these tags, and matching the query;
    of streams in any of these shards.

    None means no restriction; an empty sequence selects nothing.
    """

    after: int = 0
    until: int | None = None
    types: Sequence[str] | None = None
    categories: Sequence[str] | None = None
    tags: Sequence[str] | None = None
    query: Query | None = None
    shards: Sequence[str] | None = None

    def __post_init__(self) -> None:
        for field in ("types", "categories", "tags", "shards"):
            if isinstance(names := getattr(self, field), str):     # its letters would be taken for names
                raise InvalidEventError(field, names, "is one str", "give a list of str")
        if self.query is not None and not isinstance(self.query, Query):
            raise InvalidEventError("query", self.query, "is no Query", "give Query(types=[...], tags=[...])")
        for shard in self.shards or ():
            if not NAME.fullmatch(shard):
                raise InvalidEventError("shards", shard, "is no shard", "give 'h' and the first hex digits of the md5 of its streams, such as 'h3f'")

    @property
    def narrow(self) -> bool:
        """Does it ask for more than a range of positions?"""
        return self.types is not None or self.categories is not None or bool(self.tags) or self.query is not None or self.shards is not None

    @property
    def columns(self) -> list[str]:
        """The columns that tell whether a row is wanted."""
        asked = {"type": self.types is not None, "stream_id": self.categories is not None or self.shards is not None, "tags": bool(self.tags)}
        names = [name for name in asked if asked[name]] + ([] if self.query is None else self.query.columns)
        return list(dict.fromkeys(["position", *names]))

    def covers_positions(self, first: int, last: int) -> bool:
        return first > self.after and (self.until is None or last <= self.until)

    def meets_positions(self, first: int, last: int) -> bool:
        return last > self.after and (self.until is None or first <= self.until)

    def meets_types(self, lowest: str, highest: str) -> bool:
        if self.types is not None and not any(lowest <= t <= highest for t in self.types):
            return False
        return self.query is None or self.query.meets_types(lowest, highest)

    def meets_streams(self, lowest: str, highest: str) -> bool:
        """Can a stream of a wanted category lie between these two? A category's streams run from `c` to before `c.`."""
        return self.categories is None or any(lowest < f"{c}." and c <= highest for c in self.categories)

    def inside(self, shard: str) -> Selection:
        """The same for rows of this shard alone: where all of it is wanted nothing need be hashed."""
        return replace(self, shards=None) if any(shard.startswith(wanted) for wanted in self.shards or ()) else self

    def meets_shard(self, shard: str) -> bool:
        return self.shards is None or meets(shard, self.shards)

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
            mask = pc.and_(mask, carries(events["tags"], tag))
        if self.query is not None:
            mask = pc.and_(mask, self.query.mask(events))
        if self.shards is not None:
            mask = pc.and_(mask, in_shards(events["stream_id"], self.shards))
        return events.filter(mask)


def category(stream_id: pa.ChunkedArray) -> pa.ChunkedArray:
    """The part before the first `-`, or the whole id without one."""
    return pc.replace_substring_regex(stream_id, pattern="(?s)-.*$", replacement="")

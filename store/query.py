"""What a decision depends on, wherever it is: events of some types that carry some tags."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Sequence
from typing import NamedTuple, Self

import pyarrow as pa
import pyarrow.compute as pc

from store.errors import InvalidEventError


class Item(NamedTuple):
    """Any of `types`, and all of `tags`; an empty side leaves it open."""

    types: frozenset[str]
    tags: frozenset[str]

    def matches(self, type: str, tags: Collection[str]) -> bool:
        return (not self.types or type in self.types) and self.tags.issubset(tags)

    def mask(self, events: pa.Table) -> pa.Array:
        mask: pa.Array = pa.repeat(True, len(events))
        if self.types:
            mask = pc.is_in(events["type"], pa.array(sorted(self.types), pa.string()))
        for tag in sorted(self.tags):
            mask = pc.and_(mask, carries(events["tags"], tag))
        return mask

    def __str__(self) -> str:
        sides = [" or ".join(sorted(self.types)), " and ".join(f"#{tag}" for tag in sorted(self.tags))]
        return " with ".join(side for side in sides if side) or "any event"


class Query:
    """Matches an event whose type is one of `types` and that carries all of `tags`; an empty side leaves it open, so `Query()` matches all.

    `Query(types=["SeatsOffered"], tags=["flight:1"]) | Query(...)` matches what one of them does. Equal ones are equal and hash alike.
    The rules are those of the Dynamic Consistency Boundary specification (dcb.events).
    """

    __slots__ = ("items",)
    items: frozenset[Item]

    def __init__(self, types: Sequence[str] = (), tags: Sequence[str] = ()) -> None:
        self.items = frozenset([Item(_names("types", types), _names("tags", tags))])

    def __or__(self, other: Query) -> Self:
        if not isinstance(other, Query):
            return NotImplemented
        either = type(self)()
        either.items = self.items | other.items
        return either

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Query) and self.items == other.items

    def __hash__(self) -> int:
        return hash(self.items)

    def __str__(self) -> str:
        return ", or ".join(sorted(map(str, self.items)))

    def __repr__(self) -> str:
        return f"<Query {self}>"

    def matches(self, type: str, tags: Collection[str]) -> bool:
        return any(item.matches(type, tags) for item in self.items)

    def widened(self, names: Callable[[str], Iterable[str]]) -> Query:
        """Each type with the others that `names` tells of it."""
        wider = type(self)()
        wider.items = frozenset(Item(frozenset(name for type in item.types for name in names(type)), item.tags) for item in self.items)
        return wider

    def meets_types(self, lowest: str, highest: str) -> bool:
        """Can an event of a type between these two match?"""
        return any(not item.types or any(lowest <= type <= highest for type in item.types) for item in self.items)

    @property
    def columns(self) -> list[str]:
        """The columns that tell whether a row matches."""
        asked = {"type": any(item.types for item in self.items), "tags": any(item.tags for item in self.items)}
        return [name for name in asked if asked[name]]

    def mask(self, events: pa.Table) -> pa.Array:
        """Which rows match; needs only `columns`."""
        masks = [item.mask(events) for item in self.items]
        either = masks[0]
        for mask in masks[1:]:
            either = pc.or_(either, mask)
        return either


def carries(tags: pa.ChunkedArray, tag: str) -> pa.Array:
    """Which of these lists hold the tag."""
    lists = tags.combine_chunks()
    if isinstance(lists, pa.ChunkedArray):
        lists = pa.concat_arrays(lists.chunks) if lists.num_chunks else pa.array([], tags.type)
    holders = pc.list_parent_indices(lists).filter(pc.equal(pc.list_flatten(lists), tag))
    return pc.is_in(pa.array(range(len(lists)), pa.int64()), holders.cast(pa.int64()))


def _names(field: str, names: Sequence[str]) -> frozenset[str]:
    if isinstance(names, str) or not isinstance(names, Collection):     # the letters of a str would be taken for names
        raise InvalidEventError(field, names, "are not a list", "give a list of str")
    for name in names:
        if not isinstance(name, str) or not name:
            raise InvalidEventError(field, name, "is no name", "give a list of str, none of them empty")
    return frozenset(names)

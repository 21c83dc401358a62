"""What the deeds tell of erasures in one log: where, and whether they are done."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import polars as pl

from store.audit.block import ROWS
from store.deeds import deeds
from store.erasing.erasure_deed import completed, dated
from store.event_store import EventStore


class Erasures:
    """As far as they are told when this is made. `done`: the ids of those that are not under way any more."""

    def __init__(self, store: EventStore, log: str) -> None:
        self.done = completed(store)
        self._told = {text for _, deed in deeds(store) for text in _texts(deed.what)}
        self._positions: dict[str, list[pl.Series]] = {}
        self._near: dict[int, set[str]] = {}
        for _, one in dated(store):
            if one.log_id == log:
                positions = pl.Series(pl.from_arrow(one.positions))
                self._positions.setdefault(one.erasure_id, []).append(positions)
                for block in ((positions - 1) // ROWS).unique().to_list():
                    self._near.setdefault(block, set()).add(one.erasure_id)

    def tell_of(self, erasure: str) -> bool:
        """Does any deed name it?"""
        return erasure in self._told

    def at(self, first: int, last: int) -> frozenset[str]:
        """The ids of those that concern any of these positions, done or not."""
        blocks = range((first - 1) // ROWS, (last - 1) // ROWS + 1)
        near = set[str]().union(*(self._near.get(block, ()) for block in blocks)) if len(blocks) < len(self._near) else set(self._positions)
        return frozenset(erasure for erasure in near if self._concerns(erasure, first, last))

    def places(self) -> Iterator[tuple[str, int]]:
        """(id, position) of all events of those that are done, once for each place that may be another block's."""
        for erasure, parts in self._positions.items():
            if erasure in self.done:
                yield from ((erasure, position) for part in parts for position in part.to_list())

    def _concerns(self, erasure: str, first: int, last: int) -> bool:
        return any(part.search_sorted(first) < part.search_sorted(last, "right") for part in self._positions[erasure])


def _texts(value: Any) -> Iterator[str]:
    match value:
        case str():
            yield value
        case dict():
            for inner in value.values():
                yield from _texts(inner)
        case list():
            for inner in value:
                yield from _texts(inner)

"""What a rewrite of the log changes: which events, and what becomes of them. Their places and all that they are found by stay."""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple, Protocol

import pyarrow as pa

TOUCHED: Final = pa.schema({"stream_id": pa.string(), "type": pa.string(), "version": pa.int64(), "position": pa.int64(), "event_id": pa.string()})
"""What is told of each event that is changed, at most."""
_LAST_HASH: Final = "g"
"""Behind any hash that begins as the shard does."""


@dataclass(frozen=True, slots=True)
class Rewritten:
    """What one rewrite of a log did. `delta_version`: of its commit; None: there was nothing to change, or the log is in memory.

    `touched`: the events changed, with the columns that the rewrite is told, in no order. `replaced`: the files that still hold what they said, until
    vacuumed; `replaced_ms`: since when these are no part of the log.
    """

    delta_version: int | None
    touched: pa.Table
    replaced: Sequence[str] = ()
    replaced_ms: int | None = None
    bytes_before: int = 0
    files_after: int = 0
    bytes_after: int = 0
    seconds: float = 0.0


class Extent(NamedTuple):
    """What is known of rows before they are read: the least and the greatest of each, both included."""

    first: int
    last: int
    lowest_stream: str
    highest_stream: str
    lowest_type: str
    highest_type: str
    shard: str = "h"
    """Where alone its streams can be."""

    def may_hold(self, streams: Sequence[str], hashes: Sequence[str]) -> bool:
        """Can there be rows of any of these streams? Both are sorted."""
        return lies(streams, self.lowest_stream, self.highest_stream) and lies(hashes, self.shard[1:], self.shard[1:] + _LAST_HASH)


def lies(names: Sequence[str], lowest: str, highest: str) -> bool:
    """Is one of these, which are sorted, between those two?"""
    place = bisect_left(names, lowest)
    return place < len(names) and names[place] <= highest


class Rewrite(Protocol):
    """One change of events that are in the log already. What is asked of it for one event does not depend on the events beside it."""

    @property
    def rewrite_id(self) -> str:
        """A UUID, the same for a repeat. Files that it made are told by it from those that they replace."""

    @property
    def until(self) -> int:
        """No event after this position is changed."""

    @property
    def columns(self) -> Sequence[str]:
        """The columns that `chosen` needs."""

    @property
    def told(self) -> pa.Schema:
        """What it is told of each event that is changed: TOUCHED, or less. So much of all of them is in memory until it is done."""

    def meets(self, extent: Extent) -> bool:
        """Can rows of this extent hold a chosen one? If not, they are not read."""

    def chosen(self, events: pa.Table) -> pa.Array:
        """Which rows are to change, true or false, never null; of `columns` at least. Not those that are already as they are to become."""

    def changed(self, events: pa.Table, chosen: pa.Array) -> pa.Table:
        """The same rows in the same order, of all columns, the chosen ones changed. Nothing that a file is named, sorted or found by changes:
        position, stream_id, version, event_id, type, recorded_at, occurred_at."""


class Rewrites(Protocol):
    """Events that can be rewritten."""

    def find(self, what: Rewrite) -> pa.Table:
        """Those that would change, with the columns of TOUCHED."""

    def rewrite(self, what: Rewrite, about: Callable[[pa.Table], None] = ...) -> Rewritten:
        """Change them, in one commit. `about`: told of them before."""


def counted(tables: Iterable[pa.Table]) -> dict[str, int]:
    """How many events of each stream, of tables with the columns of TOUCHED."""
    counted = Counter[str]()
    for touched in tables:
        for row in touched["stream_id"].value_counts().to_pylist():
            counted[row["values"]] += row["counts"]
    return dict(counted)


def types_in(tables: Iterable[pa.Table]) -> list[str]:
    return sorted({type for touched in tables for type in touched["type"].unique().to_pylist()})

"""Leaves: the files of a keyed table, each with the rows from its least key to the next one's, sorted.

A change rewrites the leaves that it touches and no others, so it costs what it touches, however large the table is. A leaf that
grows too large is cut. As in a B-tree whose inner nodes are the Delta log.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import pairwise
from typing import Final

import pyarrow as pa

from store.keyed.keys import Key, Ordered
from store.tables.files import File

LOW_TAG: Final = "alluvium.low"
"""The least key of a file, in its `add`: statistics tell the least value of each column alone."""
LEAVES: Final = 1024
"""So many leaves a table has, about, while they are of a size between these two: the log names them all."""
LEAST_ROWS: Final = 4_096
MOST_ROWS: Final = 65_536
MOST_BYTES: Final = 8 << 20
"""Of a leaf's rows in memory: wide rows make leaves of fewer."""


class Leaves:
    """The live files in the order of their keys."""

    def __init__(self, lows: Mapping[Key, File]) -> None:
        self._lows = sorted(lows)
        self.files = [lows[low] for low in self._lows]

    def touched(self, keys: Ordered) -> Iterator[tuple[File | None, slice]]:
        """The leaf that each of these sorted keys belongs to, with the slice of them; None for the only leaf of an empty table."""
        start = 0
        while start < len(keys):
            place = max(0, bisect_right(self._lows, keys[start]) - 1)
            end = bisect_left(keys, self._lows[place + 1], start) if place + 1 < len(self._lows) else len(keys)
            yield self.files[place] if self.files else None, slice(start, end)
            start = end


def cut(rows: pa.Table, table_rows: int) -> Sequence[pa.Table]:
    """One leaf, or as many as these sorted rows should be in a table of so many rows; none for no rows."""
    size = _leaf_rows(rows, table_rows)
    if len(rows) <= 2 * size:
        return [rows] if len(rows) else []
    count = -(-2 * len(rows) // (3 * size))        # with room to grow before they are cut again
    ends = [len(rows) * number // count for number in range(count + 1)]
    return [rows.slice(start, end - start) for start, end in pairwise(ends)]


def cut_all(blocks: Iterable[pa.Table], table_rows: int) -> Iterator[pa.Table]:
    """The same of sorted rows that come block by block; a few leaves are in memory."""
    held = list[pa.Table]()
    for block in blocks:
        held.append(block)
        if sum(len(one) for one in held) >= 4 * MOST_ROWS or sum(int(one.nbytes) for one in held) >= 4 * MOST_BYTES:
            yield from cut(pa.concat_tables(held).combine_chunks(), table_rows)
            held = []
    if held:
        yield from cut(pa.concat_tables(held).combine_chunks(), table_rows)


def small_neighbours(files: Iterable[File], table_rows: int) -> list[list[File]]:
    """Runs of neighbouring leaves, in order, that are together still a small one: what deletes have left."""
    size = min(max(table_rows // LEAVES, LEAST_ROWS), MOST_ROWS)
    runs: list[list[File]] = [[]]
    for file in files:
        if sum(other.rows for other in runs[-1]) + file.rows > size or sum(other.size_bytes for other in runs[-1]) > MOST_BYTES // 8:
            runs.append([])
        runs[-1].append(file)
    return [run for run in runs if len(run) > 1]


def _leaf_rows(rows: pa.Table, table_rows: int) -> int:
    by_count = min(max(table_rows // LEAVES, LEAST_ROWS), MOST_ROWS)
    return max(1, min(by_count, MOST_BYTES * len(rows) // max(1, int(rows.nbytes))))

"""Sorted rows of many files as one sequence, in bounded memory."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Iterator, Sequence

import pyarrow as pa

from store.keyed.keys import Key, Ordered, in_order


def merged(files: Iterable[Iterator[pa.Table]], key: Sequence[str]) -> Iterator[pa.Table]:
    """The rows of all, block by block, in the order of their keys; rows of one key are in one block. `files`: each gives its rows in that order.

    In memory is one block of each file.
    """
    heads = [head for head in (_Head(blocks, key) for blocks in files) if head.keys]
    while heads:
        bound = min(head.last for head in heads)   # what may still come of any file lies past it
        yield in_order(pa.concat_tables([head.until(bound) for head in heads]), key)
        heads = [head for head in heads if head.keys]


class _Head:
    """The rows of a file that come next. `keys`: none when it has ended."""

    def __init__(self, blocks: Iterator[pa.Table], key: Sequence[str]) -> None:
        self._blocks, self._key = blocks, key
        self._advance()

    def _advance(self) -> None:
        rows = next((block for block in self._blocks if len(block)), None)
        self.keys: Sequence[Key] = () if rows is None else Ordered(rows, self._key)
        if rows is not None:
            self._rows, self.last = rows, self.keys[len(rows) - 1]

    def until(self, bound: Key) -> pa.Table:
        """Take the rows up to this key, with it."""
        end = bisect_right(self.keys, bound)
        taken = self._rows.slice(0, end)
        if end == len(self._rows):
            self._advance()
        else:
            self._rows = self._rows.slice(end)
            self.keys = Ordered(self._rows, self._key)
        return taken

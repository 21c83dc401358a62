"""Digests of the log by blocks of 1,024 positions, so that what changes in one block says nothing of the others."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any, Final

import polars as pl
import pyarrow as pa
import pyarrow.compute as pc

from store.audit.lines import identities, payloads
from store.husk import are_husks, erasure_of

ROWS: Final = 1_024
"""Blocks end at multiples of so many positions, and where a link ends."""
WHOLE_BYTES: Final = 256 << 20
"""Of a batch of events that are made into lines at once; of a larger one it is block by block."""


@dataclass(frozen=True, slots=True)
class Block:
    """The positions from `first` to `last`: the SHA-256 of the lines of their events' identities, and of their payloads, in hex.

    `erasures`: the ids of those that left husks in it.
    """

    first: int
    last: int
    identities: str
    payloads: str
    erasures: frozenset[str] = frozenset()


def spans(first: int, last: int) -> Iterator[tuple[int, int]]:
    """The first and the last position of each block of a range."""
    while first <= last:
        end = min(last, (first - 1) // ROWS * ROWS + ROWS)
        yield first, end
        first = end + 1


def blocks(events: Iterable[pa.Table], wanted: Iterable[tuple[int, int]]) -> Iterator[Block]:
    """Of these ranges of positions, in order, those of which there are events. `events`: in order of position; what is missing there, or stands
    there twice, ends in other digests."""
    coming = iter(wanted)
    growing: _Growing | None = None
    for table in events:
        for part in _parts(table):
            told = (_bytes(identities(part)), _bytes(payloads(part)))
            positions, husks = pl.Series(pl.from_arrow(part["position"])), _husks(part)
            row = 0
            while row < len(part):
                if growing is None or growing.last < positions[row]:
                    if growing is not None:
                        yield growing.done()
                    growing = _next(coming, positions[row])
                    if growing is None:
                        return
                if positions[row] < growing.first:  # of a range that is not wanted
                    row = positions.search_sorted(growing.first)
                    continue
                end = max(row + 1, positions.search_sorted(growing.last, "right"))
                growing.take(told, row, end)
                growing.erasures |= {erasure for place, erasure in husks if row <= place < end}
                row = end
    if growing is not None:
        yield growing.done()


@dataclass(slots=True)
class _Growing:
    first: int
    last: int
    digests: tuple[Any, Any] = field(default_factory=lambda: (hashlib.sha256(), hashlib.sha256()))
    erasures: set[str] = field(default_factory=set)

    def take(self, told: tuple[Callable[[int, int], memoryview], ...], row: int, end: int) -> None:
        for digest, part in zip(self.digests, told, strict=True):
            digest.update(part(row, end))

    def done(self) -> Block:
        identities, payloads = (digest.hexdigest() for digest in self.digests)
        return Block(self.first, self.last, identities, payloads, frozenset(self.erasures))


def _next(coming: Iterator[tuple[int, int]], position: int) -> _Growing | None:
    for first, last in coming:
        if last >= position:
            return _Growing(first, last)
    return None


def _parts(table: pa.Table) -> Iterator[pa.Table]:
    if table.nbytes <= WHOLE_BYTES:
        yield table
        return
    for start in range(0, len(table), ROWS):
        yield table.slice(start, ROWS)


def _bytes(lines: pa.StringArray) -> Callable[[int, int], memoryview]:
    """Of the lines from one row up to another; they lie in memory one behind the other."""
    _, offsets, values = lines.buffers()
    starts, whole = memoryview(offsets).cast("i"), memoryview(values)
    return lambda row, end: whole[starts[lines.offset + row] : starts[lines.offset + end]]


def _husks(events: pa.Table) -> list[tuple[int, str]]:
    """(row, erasure id)"""
    there = pc.indices_nonzero(are_husks(events["data"]))
    told = events["data"].take(there).to_pylist()
    return [(row, erasure) for row, data in zip(there.to_pylist(), told, strict=True) if (erasure := erasure_of(data)) is not None]

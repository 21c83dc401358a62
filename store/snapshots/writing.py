"""Writing files of snapshots: one in `h` for a few, sorted leaves for very many. All are sorted, in row groups quick to read."""

from __future__ import annotations

from base64 import b64decode, b64encode
from bisect import bisect_left
from collections.abc import Callable, Iterable, Iterator
from typing import Final

import polars as pl

from store.shard import shard_of, stream_hash
from store.snapshots.arrangement import rows_of
from store.snapshots.snapshot import LAYOUT
from store.storage.objects import Objects
from store.tables.files import File
from store.tables.part import Part

LEAF_ROWS: Final = 20_000
"""Snapshots go to deeper shards when each would get so many on average."""
GROUP_ROWS: Final = 1_024
GROUP_BYTES: Final = 256 << 10
"""Of the states in a row group: what reading one snapshot costs. A larger state has one of its own."""
BUFFERED_BYTES: Final = 64 << 20
"""Files in the writing take this much memory; what is more becomes further files."""
LISTED_STREAMS: Final = 2_048
"""A commit lists the streams of a file of so many rows at most, by a hash: it need not be opened to know that one is not in it."""
HASH_BYTES: Final = 4
_TAG: Final = "alluvium.streams"

Place = Callable[[pl.DataFrame], Iterable[tuple[str, pl.DataFrame]]]
"""Says which rows go to which shard."""


def within(shard: str) -> Place:
    """All rows belong there."""
    return lambda frame: [(shard, frame)]


def spread(depth: int) -> Place:
    """Each row goes to the shard of its stream at that depth."""

    def place(frame: pl.DataFrame) -> Iterator[tuple[str, pl.DataFrame]]:
        streams = frame["stream_id"].unique()
        shards = pl.DataFrame({"stream_id": streams, "shard": [shard_of(stream, depth) for stream in streams]}, schema_overrides={"shard": pl.String})
        placed = frame.join(shards, on="stream_id", how="left", maintain_order="left")
        for (shard,), rows in placed.group_by("shard", maintain_order=True):
            yield str(shard), rows.drop("shard")

    return place


def write(objects: Objects, frames: Iterable[pl.DataFrame], place: Place) -> list[File]:
    """Durable files holding these rows, which come in the order of a file; not yet part of the table."""
    parts: dict[str, _Growing] = {}
    files: list[File] = []
    for frame in frames:
        for shard, rows in place(frame):
            if sum(part.size_bytes() for part in parts.values()) > BUFFERED_BYTES:
                files += [part.put(objects) for part in parts.values()]
                parts = {}
            parts.setdefault(shard, _Growing(shard)).add(rows)
    return files + [part.put(objects) for part in parts.values()]


def listed(file: File) -> bytes | None:
    """The hashes of a file's streams, side by side in order; None if they are not listed."""
    try:
        return b64decode(file.tags[_TAG], validate=True)
    except (KeyError, ValueError):
        return None


def lists(hashes: bytes | None, wanted: bytes) -> bool:
    """Can the stream of this hash be in the file?"""
    if hashes is None:
        return True
    places = range(len(hashes) // HASH_BYTES)
    place = bisect_left(places, wanted, key=lambda place: _at(hashes, place))
    return place < len(places) and _at(hashes, place) == wanted


def short_hash(stream_id: str) -> bytes:
    return bytes.fromhex(stream_hash(stream_id)[: 2 * HASH_BYTES])


class _Growing:
    """A file in the writing, with the streams that it holds while they are few."""

    def __init__(self, shard: str) -> None:
        self._part = Part(LAYOUT, shard)
        self._rows = 0
        self._streams: set[str] = set()

    def add(self, frame: pl.DataFrame) -> None:
        self._rows += len(frame)
        if self._rows <= LISTED_STREAMS:
            self._streams |= set(frame["stream_id"])
        for rows in _groups(frame):
            self._part.add(rows_of(rows))

    def size_bytes(self) -> int:
        return self._part.size_bytes()

    def put(self, objects: Objects) -> File:
        if self._rows > LISTED_STREAMS:
            return self._part.put(objects)
        hashes = sorted({short_hash(stream) for stream in self._streams})
        return self._part.put(objects, {_TAG: b64encode(b"".join(hashes)).decode()})


def _groups(frame: pl.DataFrame) -> Iterator[pl.DataFrame]:
    bins = frame["state"].str.len_bytes().cast(pl.Int64).cum_sum() // GROUP_BYTES
    start = 0
    for count in bins.rle().struct.field("len"):
        for first in range(start, start + count, GROUP_ROWS):
            yield frame.slice(first, min(GROUP_ROWS, start + count - first))
        start += count


def _at(hashes: bytes, place: int) -> bytes:
    return hashes[place * HASH_BYTES : (place + 1) * HASH_BYTES]

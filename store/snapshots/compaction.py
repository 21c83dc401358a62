"""Compaction of snapshots: files are merged as they pile up, what is not kept any more is left out, rows move down into leaves.

The shards are as deep as the number of rows asks for, all alike. Above the leaves a shard collects what came lately, and once
it holds PUSHED_ROWS all of it moves one level down. A merge makes a file several times its largest part, so that a row is
rewritten a bounded number of times.
"""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import Final, NamedTuple

import polars as pl

from store.observer import Compacted
from store.shard import ROOT, depth_for
from store.snapshots import writing
from store.snapshots.arrangement import arranged, frame_of
from store.snapshots.snapshot import LAYOUT
from store.storage.objects import Objects
from store.tables.files import File
from store.tables.replacement import Replacement, replace
from store.tables.sorted_files import SortedFiles
from store.tables.table_log import TableLog

DUE_FILES: Final = 16
"""Small files, whose streams are listed, wait until there are so many of them: they hardly cost a reader anything."""
GROWTH: Final = 4
PUSHED_ROWS: Final = 4 * writing.LEAF_ROWS
SECTION_BYTES: Final = 32 << 20
"""A merge holds so much of its input in memory at a time."""


class Merge(NamedTuple):
    """Files of one shard that become one there, or that move down into the shards below it (`deeper`)."""

    shard: str
    files: Sequence[File]
    deeper: bool


def due(files: Sequence[File]) -> Merge | None:
    """What a writer should merge now; None while little has piled up."""
    return next((merge for shard in _shards(files) if (merge := _due(*shard)) is not None), None)


def mergeable(files: Sequence[File]) -> Merge | None:
    """What can be merged at all: what lies above the leaves, and leaves of more than one file for the same streams."""
    for shard, inside, deeper in _shards(files):
        if deeper or _overlap(inside):
            return Merge(shard, inside, deeper)
    return None


def merge(objects: Objects, log: TableLog, reader: SortedFiles, chosen: Merge) -> Compacted | None:
    """Put these snapshots into new files, durably, as far as they are kept. None: another was first, nothing has changed.

    DamagedFileError: one of the files cannot be read.
    """
    began, vacuumed = time.monotonic(), log.vacuumed
    place = writing.spread(_depth(chosen.shard) + 1) if chosen.deeper else writing.within(chosen.shard)
    written = writing.write(objects, _merged(reader, chosen.files), place)
    version = replace(objects, log, Replacement(chosen.files, written, "OPTIMIZE", data_change=False), vacuumed)
    if version is None:
        return None
    reader.drop(chosen.files)
    return _told(version, chosen, written, time.monotonic() - began)


def planned(version: int, chosen: Merge) -> Compacted:
    """What a merge of these files would read; how much it will write is not known before."""
    return _told(version, chosen, [], 0.0)


def _told(version: int, chosen: Merge, written: Sequence[File], seconds: float) -> Compacted:
    return Compacted(
        delta_version=version,
        files_before=len(chosen.files),
        files_after=len(written),
        events=sum(file.rows for file in chosen.files),
        data_bytes=sum(file.size_bytes for file in written),
        seconds=seconds,
        bytes_before=sum(file.size_bytes for file in chosen.files),
        table=LAYOUT.name,
    )


def _merged(reader: SortedFiles, files: Sequence[File]) -> Iterator[pl.DataFrame]:
    """The rows that are kept, in order, a section of streams at a time."""
    for low, above in _sections(sorted(group for file in files for group in reader.groups(file))):
        parts = [frame_of(rows) for file in files for rows in reader.read(file, low, above)]
        rows = pl.concat(parts).filter(pl.col("stream_id") >= low)
        yield arranged(rows if above is None else rows.filter(pl.col("stream_id") < above))


def _sections(groups: Sequence[tuple[str, int]]) -> Iterator[tuple[str, str | None]]:
    """Streams from–to (exclusive; None: to the end), so that a section's row groups take SECTION_BYTES and a bit."""
    start, held = groups[0][0], 0
    for low, size_bytes in groups:
        if held >= SECTION_BYTES and low > start:
            yield start, low
            start, held = low, 0
        held += size_bytes
    yield start, None


def _shards(files: Sequence[File]) -> Iterator[tuple[str, list[File], bool]]:
    """Each shard with its files, small ones first, and whether it lies above the leaves."""
    leaf_depth = depth_for(sum(file.rows for file in files), writing.LEAF_ROWS)
    shards = defaultdict(list)
    for file in sorted(files, key=lambda file: file.rows):
        shards[file.partition].append(file)
    for shard in sorted(shards):
        yield shard, shards[shard], _depth(shard) < leaf_depth


def _due(shard: str, files: list[File], above: bool) -> Merge | None:
    if above and sum(file.rows for file in files) >= PUSHED_ROWS:
        return Merge(shard, files, deeper=True)
    chosen, rows = 0, 0
    for count, file in enumerate(files, 1):
        rows += file.rows
        few = count < (DUE_FILES if file.rows <= writing.LISTED_STREAMS else 2)
        chosen = chosen if few or rows < GROWTH * file.rows else count
    return Merge(shard, files[:chosen], deeper=False) if chosen else None


def _overlap(files: Sequence[File]) -> bool:
    """Can one stream be in two of them?"""
    ordered = sorted(files, key=lambda file: file.low["stream_id"])
    return any(one.high["stream_id"] >= other.low["stream_id"] for one, other in pairwise(ordered))


def _depth(shard: str) -> int:
    return len(shard) - len(ROOT)

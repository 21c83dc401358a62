"""Dropping snapshots that their owner found wrong, or that must not be any more."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import polars as pl

from store.snapshots import writing
from store.snapshots.arrangement import arranged, frame_of
from store.snapshots.index import Index
from store.storage.objects import Objects
from store.tables.files import File
from store.tables.sorted_files import SortedFiles


def without(
    objects: Objects, files: SortedFiles, index: Index, aggregate: str | None, stream_ids: Sequence[str] | None
) -> tuple[list[File], list[File], int]:
    """The files that hold such snapshots, durable ones with the rest of their rows, and how many that were kept this takes away."""
    removed: list[File] = []
    added: list[File] = []
    dropped: list[pl.DataFrame] = []
    for file, streams in _candidates(index, stream_ids):
        if aggregate is not None and not file.may_hold("aggregate", aggregate):
            continue
        gone = pl.lit(True) if streams is None else pl.col("stream_id").is_in(pl.Series(streams).implode())
        if aggregate is not None:
            gone &= pl.col("aggregate") == aggregate
        found = [rows for frame in _frames(files, file, streams) if len(rows := frame.drop("state").filter(gone))]
        if not found:
            continue
        dropped += found
        removed.append(file)
        kept = (frame.filter(~gone) for frame in _frames(files, file, None))
        added += writing.write(objects, (frame for frame in kept if len(frame)), writing.within(file.partition))
    return removed, added, len(arranged(pl.concat(dropped))) if dropped else 0


def _candidates(index: Index, stream_ids: Sequence[str] | None) -> Iterator[tuple[File, Sequence[str] | None]]:
    if stream_ids is None:
        yield from ((file, None) for file in index.files())
    else:
        yield from index.of_streams(stream_ids)


def _frames(files: SortedFiles, file: File, streams: Sequence[str] | None) -> Iterator[pl.DataFrame]:
    """Of all streams, or of those at least that lie between the first and the last of these."""
    low, high = (None, None) if streams is None else (streams[0], streams[-1])
    return map(frame_of, files.read(file, low, high))

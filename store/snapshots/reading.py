"""Finding snapshots in files."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator, Sequence
from typing import Final

import polars as pl
import pyarrow as pa
import pyarrow.compute as pc

from store.snapshots.arrangement import frame_of, newest_each, rows_of
from store.snapshots.index import Index, Wanted
from store.snapshots.snapshot import SNAPSHOTS, Snapshot, snapshots_of
from store.tables.sorted_files import Between, SortedFiles

REDUCED_ROWS: Final = 200_000
"""Rows found, after which only the newest of each stream are carried on."""


def newest(files: SortedFiles, index: Index, stream_id: str, wanted: Wanted) -> list[Snapshot]:
    """See `Snapshots.newest`."""
    found: dict[tuple[int, int], Snapshot] = {}
    for file in index.of_stream(stream_id, wanted):
        for rows in files.read(file, stream_id, stream_id):
            for snapshot in snapshots_of(rows.filter(pc.and_(pc.equal(rows["stream_id"], stream_id), _matching(rows, wanted)))):
                shape = (snapshot.version, snapshot.schema_version)
                if shape not in found or found[shape].taken_at <= snapshot.taken_at:
                    found[shape] = snapshot
    ordered = sorted(found.values(), key=lambda s: (s.version, s.taken_at), reverse=True)
    return ordered[: ordered[0].keep] if ordered else []


def newest_many(files: SortedFiles, index: Index, stream_ids: Sequence[str] | None, wanted: Wanted) -> pa.Table:
    """See `Snapshots.newest_many`."""
    pending = [frame_of(SNAPSHOTS.empty_table())]
    for rows in _all(files, index, wanted) if stream_ids is None else _some(files, index, stream_ids, wanted):
        pending.append(frame_of(rows.filter(_matching(rows, wanted))))     # by Arrow, which copies: polars would hold on to all that was read
        if sum(map(len, pending[1:])) > REDUCED_ROWS:
            pending = [newest_each(pl.concat(pending))]
    return rows_of(newest_each(pl.concat(pending)))


def _all(files: SortedFiles, index: Index, wanted: Wanted) -> Iterator[pa.Table]:
    for file in index.files():
        if wanted.may_be_in(file):
            yield from files.read(file, None, None)


def _some(files: SortedFiles, index: Index, stream_ids: Sequence[str], wanted: Wanted) -> Iterator[pa.Table]:
    for file, streams in index.of_streams(stream_ids):
        if wanted.may_be_in(file):
            ids = pa.array(streams)
            for rows in files.read(file, streams[0], streams[-1], any_of(streams)):
                yield rows.filter(pc.is_in(rows["stream_id"], ids))


def any_of(streams: Sequence[str]) -> Between:
    """Is one of these, which are in order, between two others?"""

    def wanted(low: str, high: str) -> bool:
        place = bisect_left(streams, low)
        return place < len(streams) and streams[place] <= high

    return wanted


def _matching(rows: pa.Table, wanted: Wanted) -> pa.ChunkedArray:
    mask = pc.equal(rows["aggregate"], wanted.aggregate)
    for name, limit in (("version", wanted.version), ("position", wanted.position)):
        if limit is not None:
            mask = pc.and_(mask, pc.less_equal(rows[name], limit))
    return mask

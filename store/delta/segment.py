"""Writing the log's files: one landing file for a small commit, else runs that are sorted and spread over shards."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Final

import polars as pl
import pyarrow as pa

from store.delta.actions import Segment
from store.delta.part import Part, put_landing
from store.shard import ROOT, depth_for, shard_of
from store.storage.objects import Objects

Map = Callable[..., Iterable[Any]]
"""`map`, or `map` of a pool of threads."""

LEAF_ROWS: Final = 50_000
"""A run goes to deeper shards when each would get this many rows on average."""
RUN_ROWS: Final = 1 << 20
"""Runs do not cross multiples of this many positions, so that in the end one run, sealed, fills each such range."""
SECTION_ROWS: Final = 1 << 17
"""A file is sorted by (section of this many positions, stream, version): a replay reads each row once, holding a section.

A divisor of RUN_ROWS.
"""
BUFFERED_BYTES: Final = 256 << 20
"""A run in the writing takes this much memory; one that is larger becomes several files a shard."""


def write_segments(objects: Objects, events: pa.Table) -> list[Segment]:
    """Durable files holding these new events (a dense range of positions, in log order), not yet part of the log.

    A small table goes into one file in `h`, encoded for speed. A large one becomes runs, as compaction would make them.
    """
    if len(events) < LEAF_ROWS:
        return [put_landing(objects, events)]
    first = events["position"][0].as_py()
    return [
        segment
        for start, end in aligned(first, first + len(events) - 1, RUN_ROWS)
        for segment in write_run(
            objects, start, end, (events.slice(low - first, high - low + 1) for low, high in aligned(start, end, SECTION_ROWS))
        )
    ]


def write_run(objects: Objects, first: int, last: int, sections: Iterable[pa.Table]) -> list[Segment]:
    """Durable files holding the events of positions `first` to `last`, in shards as deep as they are well filled.

    `sections`: these events, a section at a time by position; the order of rows within one does not matter.
    """
    depth = depth_for(last - first + 1, LEAF_ROWS)
    parts: dict[str, Part] = {}
    done: list[Segment] = []
    with ThreadPoolExecutor(2) as pool:            # encoding and fsync free the GIL: two files at a time use both

        def put() -> list[Segment]:
            return list(pool.map(lambda part: part.put(objects), parts.values()))

        for section in sections:
            if sum(part.size_bytes() for part in parts.values()) > BUFFERED_BYTES:
                done += put()
                parts = {}
            spread = list(_spread(section, depth))
            del section                            # one copy of the events at a time
            parts |= {shard: Part(shard, first, last) for shard, _ in spread if shard not in parts}
            for _ in pool.map(lambda item, to=parts: to[item[0]].add(item[1]), spread):
                pass
            del spread
        return done + put()


def aligned(first: int, last: int, rows: int) -> Iterator[tuple[int, int]]:
    """The positions from `first` to `last`, cut after every multiple of `rows`."""
    while first <= last:
        end = min(last, (first - 1) // rows * rows + rows)
        yield first, end
        first = end + 1


def _spread(events: pa.Table, depth: int) -> Iterator[tuple[str, pa.Table]]:
    """Sorted by (shard, stream, version), one table a shard."""
    rows = pl.DataFrame({"stream_id": pl.from_arrow(events["stream_id"]), "version": pl.from_arrow(events["version"])})
    names = rows["stream_id"].unique()
    shards = pl.Series("shard", [shard_of(name, depth) for name in names]) if depth else pl.repeat(ROOT, len(names), eager=True).alias("shard")
    ranks = pl.DataFrame([names, shards]).sort("shard", "stream_id").with_row_index("rank")
    ranked = rows.join(ranks, on="stream_id", how="left", maintain_order="left")
    places = ranked.select(pl.arg_sort_by("rank", "version")).to_series().to_arrow()
    ordered = taken(events, places)
    start = 0
    for shard, count in ranked.group_by("shard").len().sort("shard").iter_rows():
        yield shard, ordered.slice(start, count)
        start += count


def taken(events: pa.Table, places: pa.Array, each: Map = map) -> pa.Table:
    """The rows at these places. Column by column: a table of many chunks takes several times as long in one go."""
    return pa.table(list(each(lambda column: column.combine_chunks().take(places), events.columns)), schema=events.schema)

"""Heads files: for a range of positions, each stream that it touched, with its version by then. Derivable, never the truth.

Sorted by the 128-bit md5 of the stream id and memory-mapped, so that the head of a cold stream, or the absence of a new
one, costs microseconds. The log is immutable: what a file says of its positions stays true, whatever is compacted.
"""

from __future__ import annotations

import hashlib
import re
import zlib
from bisect import bisect_left
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final, NamedTuple

import polars as pl
import pyarrow as pa

from store.errors import AccessDeniedError, StorageError
from store.storage.objects import Entry, Objects

FOLDER: Final = "_heads"
GROWTH: Final = 4
"""A run takes in the one before it unless that one is this many times longer: few runs, and few rewritings of each."""

JOINED_STREAMS: Final = 1 << 20
"""Two runs are joined so many streams at a time: to group all of them at once takes five times the memory of what becomes of them."""

_SCHEMA: Final = pa.schema({"high": pa.uint64(), "low": pa.uint64(), "version": pa.int64(), "first": pa.int64(), "last": pa.int64()})
_HEAD: Final = {"version": pl.Int64, "first": pl.Int64, "last": pl.Int64}
_NAME: Final = re.compile(r"_heads/([0-9]{20})-([0-9]{20})-([0-9a-f]{8})\.arrow").fullmatch


class Head(NamedTuple):
    """A stream at the end of a range of positions: its version, and its first and last position in the range."""

    version: int
    first: int
    last: int


@dataclass(frozen=True, slots=True)
class HeadRun:
    """The streams of positions (after, until]. `table`: high, low (the halves of the md5), version, first, last; sorted by hash."""

    after: int
    until: int
    table: pa.Table
    highs: Sequence[int]

    def find(self, stream: tuple[int, int]) -> Head | None:
        """The head of a stream, given by its hash; None: no event of it has one of these positions."""
        high, low = stream
        place = bisect_left(self.highs, high)
        while place < len(self.highs) and self.highs[place] == high:
            if self.table["low"][place].as_py() == low:
                return Head(*(self.table[name][place].as_py() for name in Head._fields))
            place += 1
        return None


    def find_all(self, streams: pl.DataFrame) -> pl.DataFrame:
        """The heads (version, first, last) of many streams, given by their hashes (high, low); null for those not in the run."""
        if not len(self.highs):
            return pl.DataFrame(schema=_HEAD).clear(len(streams))
        run = pl.DataFrame(self.table)
        found = run[run["high"].search_sorted(streams["high"]).clip(0, len(run) - 1)]
        half = found["high"] == streams["high"]
        hit = half & (found["low"] == streams["low"])
        heads = found.select(pl.when(hit).then(name).alias(name) for name in Head._fields)
        # Two streams of a run that share half a hash: some day there will be such a pair.
        for place in (half & ~hit).arg_true():
            if head := self.find((streams["high"][place], streams["low"][place])):
                for name, value in head._asdict().items():
                    heads[place, name] = value
        return heads


def hash_of(stream_id: str) -> tuple[int, int]:
    """The two halves of the md5 of a stream id."""
    digest = hashlib.md5(stream_id.encode(), usedforsecurity=False).digest()
    return int.from_bytes(digest[:8], "little"), int.from_bytes(digest[8:], "little")


def gathered(after: int, until: int, parts: Iterable[pa.Table]) -> HeadRun:
    """The run of these positions; each part has the columns stream_id, version, position of some of its events."""
    newest = [_newest(pl.DataFrame(part), ["stream_id"], pl.col("position"), pl.col("position")) for part in parts]
    if not newest:
        return _run(after, until, pl.DataFrame(_SCHEMA.empty_table()))
    heads = _newest(pl.concat(newest), ["stream_id"], pl.col("first"), pl.col("last"))
    return _run(after, until, pl.concat([hashes(heads["stream_id"]), heads.drop("stream_id")], how="horizontal"))


def joined(older: HeadRun, newer: HeadRun) -> HeadRun:
    """One run of two that follow one another. Takes the memory of the new one twice."""
    parts = [_sorted(_newest(pl.DataFrame(both), ["high", "low"], pl.col("first"), pl.col("last"))) for both in _slices(older, newer)]
    return _mapped(older.after, newer.until, pa.concat_tables(parts))


def _slices(older: HeadRun, newer: HeadRun) -> Iterator[pa.Table]:
    """The rows of both, from hash to hash in order, so that no stream is in two slices."""
    starts, longer = [0, 0], max(older.highs, newer.highs, key=len)
    for high in [*longer[JOINED_STREAMS::JOINED_STREAMS], None]:
        ends = [len(run.highs) if high is None else bisect_left(run.highs, high) for run in (older, newer)]
        yield pa.concat_tables([run.table.slice(start, end - start) for run, start, end in zip((older, newer), starts, ends, strict=True)])
        starts = ends


def hashes(stream_ids: pl.Series) -> pl.DataFrame:
    """The columns high and low for each stream id."""
    digests = b"".join([hashlib.md5(stream_id.encode(), usedforsecurity=False).digest() for stream_id in stream_ids])
    halves = pl.Series(pa.Array.from_buffers(pa.uint64(), 2 * len(stream_ids), [None, pa.py_buffer(digests)]), dtype=pl.UInt64)
    return pl.DataFrame({"high": halves.gather_every(2), "low": halves.gather_every(2, 1)})


def add(runs: Sequence[HeadRun], newer: HeadRun) -> list[HeadRun]:
    """The chain with one run more, which takes in the ones before it that are not much longer."""
    chain = list(runs)
    while chain and chain[-1].table.num_rows <= GROWTH * newer.table.num_rows:
        newer = joined(chain.pop(), newer)
    return [*chain, newer]


def write(objects: Objects, run: HeadRun) -> int:
    """Save a run; its size in bytes. All its positions must be durable: a file of others would outlive them."""
    sink = pa.BufferOutputStream()
    with pa.ipc.new_file(sink, _SCHEMA) as file:
        file.write_table(run.table)
    body = sink.getvalue()
    objects.replace(f"{FOLDER}/{run.after:020d}-{run.until:020d}-{zlib.crc32(body):08x}.arrow", body)
    return len(body)


def load(objects: Objects, head: int, known: Sequence[HeadRun] = ()) -> list[HeadRun]:
    """The saved runs that follow one another from position 0 on, up to `head` at most. A damaged one counts as missing.

    Those that are `known` already are not read again.
    """
    chain: list[HeadRun] = []
    at_hand = {(run.after, run.until): run for run in known}
    listed = [(int(name[1]), int(name[2]), entry) for entry in objects.list(FOLDER) if (name := _NAME(entry.path))]
    while True:
        until = chain[-1].until if chain else 0
        choice = sorted(((end, entry) for start, end, entry in listed if start == until < end <= head), reverse=True)
        runs = (at_hand.get((until, end)) or _read(objects, entry, until, end) for end, entry in choice)
        run = next((run for run in runs if run is not None), None)
        if run is None:
            return chain
        chain.append(run)


def discard(objects: Objects) -> None:
    """Remove what was saved of a log that lay here before: where a log begins, nothing is true of it yet."""
    objects.delete([entry.path for entry in objects.list(FOLDER)])


def superseded(objects: Objects, chain: Sequence[HeadRun]) -> list[Entry]:
    """The saved files that a saved chain makes needless: each lies within one of its runs, and is not that run's own."""
    spans = {(run.after, run.until) for run in chain}
    needless = []
    for entry in objects.list(FOLDER):
        if (name := _NAME(entry.path)) is not None:
            start, end = int(name[1]), int(name[2])
            if (start, end) not in spans and any(after <= start and end <= until for after, until in spans):
                needless.append(entry)
    return needless


def _read(objects: Objects, entry: Entry, after: int, until: int) -> HeadRun | None:
    try:
        with objects.open(entry.path) as file:
            body = file.read_buffer()
        name = _NAME(entry.path)
        if name is None or zlib.crc32(body) != int(name[3], 16):
            return None
        table = pa.ipc.open_file(body).read_all()
    except AccessDeniedError:
        raise
    except (StorageError, pa.ArrowInvalid, OSError):
        return None
    return _mapped(after, until, table) if table.schema.equals(_SCHEMA) else None


def _newest(heads: pl.DataFrame, keys: list[str], first: pl.Expr, last: pl.Expr) -> pl.DataFrame:
    return heads.group_by(keys).agg(pl.col("version").max(), first.min().alias("first"), last.max().alias("last"))


def _run(after: int, until: int, heads: pl.DataFrame) -> HeadRun:
    return _mapped(after, until, _sorted(heads))


def _sorted(heads: pl.DataFrame) -> pa.Table:
    return heads.sort("high", "low").select(_SCHEMA.names).to_arrow().cast(_SCHEMA)


def _mapped(after: int, until: int, table: pa.Table) -> HeadRun:
    if not len(table):
        return HeadRun(after, until, table, ())
    table = table.combine_chunks()
    column: Any = table["high"].chunk(0)
    highs = memoryview(column.buffers()[1]).cast("B").cast("Q")
    return HeadRun(after, until, table, highs[column.offset : column.offset + len(column)])

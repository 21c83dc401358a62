"""Shards: a trie over the md5 of stream ids, the partition column of the log.

`shard` is `h` and the first hex digits of the hash, none to four. md5 because every engine has it, so any reader can
prune: a stream's events lie in `h`, or in the shards whose name is a prefix of `h` + its hash.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence
from typing import Final

import pyarrow as pa

ROOT: Final = "h"
MAX_DEPTH: Final = 4
FANOUT: Final = 16
MARK_SIGNS: Final = 4
NAME: Final = re.compile(r"h[0-9a-f]{0,32}")


def stream_hash(stream_id: str) -> str:
    """The lower-case hex md5 of the id's UTF-8 bytes."""
    return hashlib.md5(stream_id.encode(), usedforsecurity=False).hexdigest()


def shard_of(stream_id: str, depth: int) -> str:
    """The shard of this many hex digits, 0 to 32, that the stream belongs to; with all of them it holds this stream alone."""
    return ROOT + stream_hash(stream_id)[:depth]


def mark(stream_id: str) -> str:
    """Some of the last digits of its hash, which say nothing of its shard: two streams seldom share them."""
    return stream_hash(stream_id)[-MARK_SIGNS:]


def meets(shard: str, wanted: Sequence[str]) -> bool:
    """Can this shard hold streams of one of these?"""
    return any(shard.startswith(one) or one.startswith(shard) for one in wanted)


def in_shards(stream_ids: pa.ChunkedArray, wanted: Sequence[str]) -> pa.ChunkedArray:
    """Row by row: does the stream belong to one of these? A stream that has many rows is hashed once a chunk."""
    prefixes = tuple(one.removeprefix(ROOT) for one in wanted)
    chunks = (chunk.dictionary_encode() for chunk in stream_ids.chunks)
    return pa.chunked_array([_those_in(chunk.dictionary, prefixes).take(chunk.indices) for chunk in chunks], pa.bool_())


def _those_in(stream_ids: pa.StringArray, prefixes: tuple[str, ...]) -> pa.BooleanArray:
    return pa.array([stream_hash(stream_id).startswith(prefixes) for stream_id in stream_ids.to_pylist()], pa.bool_())


def shards_of(stream_id: str) -> frozenset[str]:
    """Every shard that can hold events of the stream."""
    digits = stream_hash(stream_id)
    return frozenset(ROOT + digits[:depth] for depth in range(MAX_DEPTH + 1))


def depth_for(rows: int, leaf_rows: int) -> int:
    """How deep `rows` events may be spread so that a leaf gets `leaf_rows` of them on average."""
    depth = 0
    while depth < MAX_DEPTH and rows >= leaf_rows * FANOUT ** (depth + 1):
        depth += 1
    return depth

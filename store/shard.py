"""Shards: a trie over the md5 of stream ids, the partition column of the log.

`shard` is `h` and the first hex digits of the hash, none to four. md5 because every engine has it, so any reader can
prune: a stream's events lie in `h`, or in the shards whose name is a prefix of `h` + its hash.
"""

from __future__ import annotations

import hashlib
from typing import Final

ROOT: Final = "h"
MAX_DEPTH: Final = 4
FANOUT: Final = 16


def stream_hash(stream_id: str) -> str:
    """The lower-case hex md5 of the id's UTF-8 bytes."""
    return hashlib.md5(stream_id.encode(), usedforsecurity=False).hexdigest()


def shard_of(stream_id: str, depth: int) -> str:
    return ROOT + stream_hash(stream_id)[:depth]


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

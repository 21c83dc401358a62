"""The files that the lines of a Delta commit add and remove, and the values that we make of them."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from hashlib import md5
from typing import Any, Final
from urllib.parse import quote, unquote

import orjson

from store.delta.table import NotOursError
from store.shard import MARK_SIGNS
from store.tables.files import Retired as Retired
from store.tables.shape import text, whole
from store.times import LATEST, microseconds, moment

_REWRITTEN: Final = "alluvium.rewritten"
_SHA256: Final = "alluvium.sha256"
ARCHIVE: Final = "archive/"
"""Under this prefix lie the files of streams that take no more events: a rule of the object store can make it cheaper and slower."""
_MARKS: Final = "alluvium.streams"
_PATH: Final = re.compile(r"(archive/)?shard=h[0-9a-f]{0,4}/[0-9]{1,19}-[0-9]{1,19}-[0-9a-f]{32}\.parquet").fullmatch


@dataclass(frozen=True, slots=True)
class Segment:
    """A live Parquet file of the log, with what its statistics say: positions, stream ids and types from–to, rows."""

    path: str
    size_bytes: int
    rows: int
    first: int
    last: int
    lowest_stream: str
    highest_stream: str
    lowest_type: str
    highest_type: str
    recorded_from: int
    recorded_until: int
    stats: str
    modified_ms: int
    rewritten: str = ""
    """Which rewrites its events have been through, as a mark: files of the same events that differ in it differ in what they say of them."""
    marks: frozenset[str] | None = None
    """Of an archived file, a mark of each of its streams (`shard.mark`), where there are not too many: by them it stays closed to all others."""
    streams: frozenset[str] | None = None
    """Its streams, where the commit lists them: then a look-up need not open the file to know that it is not there."""
    sha256: str = ""
    """Of the file's bytes, in hex; empty where the log does not say it."""

    @property
    def shard(self) -> str:
        return shard_in(self.path)

    @property
    def archived(self) -> bool:
        return self.path.startswith(ARCHIVE)

    @property
    def run(self) -> tuple[int, int]:
        """The positions of the run that it was written with; its own rows may span fewer."""
        first, last, _ = self.path[self.path.rindex("/") + 1 :].split("-", 2)
        return int(first), int(last)


def mark_of(marks: Iterable[str]) -> str:
    """The mark of events that have been through all that these tell of; empty ones tell of nothing."""
    several = sorted(set(marks) - {""})
    return several[0] if len(several) == 1 else md5("".join(several).encode()).hexdigest() if several else ""


def segment_of(add: Mapping[str, Any], streams: frozenset[str] | None = None) -> Segment:
    """The file that an `add` names."""
    try:
        stats = orjson.loads(add["stats"])
        low, high = stats["minValues"], stats["maxValues"]
        if add.get("deletionVector"):
            raise NotOursError("the table has deletion vectors, which this store does not write")
        return Segment(
            path=checked_path(add["path"]),
            size_bytes=whole(add["size"]),
            rows=whole(stats["numRecords"], 1),
            first=whole(low["position"], 1),
            last=whole(high["position"], 1),
            lowest_stream=text(low["stream_id"]),
            highest_stream=text(high["stream_id"]),
            lowest_type=text(low["type"]),
            highest_type=text(high["type"]),
            recorded_from=_microseconds(low["recorded_at"]),
            recorded_until=_microseconds(high["recorded_at"]),
            stats=add["stats"],
            modified_ms=whole(add["modificationTime"]),
            rewritten=text((add.get("tags") or {}).get(_REWRITTEN) or ""),
            marks=_marks_in(text((add.get("tags") or {}).get(_MARKS) or "")),
            streams=streams,
            sha256=text((add.get("tags") or {}).get(_SHA256) or ""),
        )
    except (KeyError, TypeError, ValueError) as error:
        raise NotOursError(f"file {add.get('path')!r} has no statistics of ours ({error!r})") from error


def retired_of(remove: Mapping[str, Any]) -> Retired:
    """The file that a `remove` names."""
    return Retired(checked_path(remove["path"]), whole(remove.get("deletionTimestamp") or 0), whole(remove.get("size") or 0))


def checked_path(path: str) -> str:
    """The decoded path; NotOursError unless it is one that this store makes, so that a log from elsewhere cannot point outside."""
    plain = unquote(path)
    if not _PATH(plain):
        raise NotOursError(f"the log names a file that is not one of ours: {path!r}")
    return plain


def add_of(segment: Segment, data_change: bool) -> dict[str, Any]:
    """The `add` that names a file."""
    return {
        "path": quote(segment.path),
        "partitionValues": {"shard": segment.shard},
        "size": segment.size_bytes,
        "modificationTime": segment.modified_ms,
        "dataChange": data_change,
        "stats": segment.stats,
        **({"tags": tags} if (tags := _tags_of(segment)) else {}),
    }


def _tags_of(segment: Segment) -> dict[str, str]:
    told = {_REWRITTEN: segment.rewritten, _MARKS: "".join(sorted(segment.marks or ())), _SHA256: segment.sha256}
    return {name: value for name, value in told.items() if value}


def _marks_in(joined: str) -> frozenset[str] | None:
    return frozenset(joined[at : at + MARK_SIGNS] for at in range(0, len(joined), MARK_SIGNS)) or None


def remove_of(retired: Retired, data_change: bool = False) -> dict[str, Any]:
    """The `remove` that names a file."""
    return {
        "path": quote(retired.path),
        "deletionTimestamp": retired.retired_ms,
        "dataChange": data_change,
        "extendedFileMetadata": True,
        "partitionValues": {"shard": shard_in(retired.path)},
        "size": retired.size_bytes,
    }


def shard_in(path: str) -> str:
    """The partition of a file's path."""
    end = path.rindex("/")
    return path[path.rindex("=", 0, end) + 1 : end]


def rfc3339(instant_us: int) -> str:
    """Statistics hold times in milliseconds, rounded down."""
    return f"{moment(instant_us // 1_000_000 * 1_000_000).isoformat()[:19]}.{instant_us // 1000 % 1000:03d}Z"


def rfc3339_above(instant_us: int) -> str:
    """The same, rounded up, so that it bounds the time from above."""
    return rfc3339(min(instant_us + 999, LATEST))


def _microseconds(text: str) -> int:
    return microseconds(datetime.fromisoformat(text))

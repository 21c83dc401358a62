"""A table's data files: those that are live, and those that were replaced."""

from __future__ import annotations

import re
import time
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Final, NamedTuple
from urllib.parse import quote, unquote

import orjson

from store.tables.layout import Layout
from store.tables.shape import NotOursError, text, whole

_PATH: Final = re.compile(r"(?:([a-z_]+)=[A-Za-z0-9_.-]*/)?(?!\.)[A-Za-z0-9_.-]+\.parquet").fullmatch
_OWN_NAME: Final = re.compile(r"(?:.*/)?[0-9a-f]{32}\.parquet").fullmatch


class Retired(NamedTuple):
    """A file that is no longer live, kept a while for readers of an older state. Delta calls it a tombstone."""

    path: str
    retired_ms: int
    size_bytes: int


@dataclass(frozen=True, slots=True)
class File:
    """A live Parquet file. Its contents never change.

    `low`, `high`: the least and the greatest value of each bounded column; without them the file may hold anything.
    `stats`: the same as Delta has it. `tags`: what we say of it beside, for ourselves.
    """

    path: str
    size_bytes: int
    rows: int
    low: Mapping[str, Any]
    high: Mapping[str, Any]
    stats: str
    modified_ms: int
    tags: Mapping[str, str] = field(default_factory=dict)

    @property
    def partition(self) -> str:
        """The value of the partition column; empty without one."""
        folder, slash, _ = self.path.rpartition("/")
        return folder.partition("=")[2] if slash else ""

    def may_hold(self, column: str, value: Any) -> bool:
        return column not in self.low or bool(self.low[column] <= value <= self.high[column])


def new_path(layout: Layout, partition: str) -> str:
    """A name that nobody else writes."""
    return f"{layout.partition}={partition}/{uuid.uuid4().hex}.parquet" if layout.partition else f"{uuid.uuid4().hex}.parquet"


def renamed(layout: Layout, file: File) -> File:
    """The same contents under another new name."""
    return replace(file, path=new_path(layout, file.partition), modified_ms=time.time_ns() // 1_000_000)


def checked_path(layout: Layout, path: str) -> str:
    """The decoded path; NotOursError unless a writer of such a table makes such names: a log from elsewhere must not point outside."""
    plain = unquote(path)
    named = _PATH(plain)
    if named is None or named[1] != layout.partition or (layout.ours_alone and not _OWN_NAME(plain)):
        raise NotOursError(f"the log names a file that is not one of ours: {path!r}")
    return plain


def add_of(layout: Layout, file: File, data_change: bool) -> dict[str, Any]:
    """The `add` that names a file."""
    said = {
        "path": quote(file.path, safe="/="),
        "partitionValues": _partition_values(layout, file.path),
        "size": file.size_bytes,
        "modificationTime": file.modified_ms,
        "dataChange": data_change,
        "stats": file.stats,
    }
    return said | ({"tags": dict(file.tags)} if file.tags else {})


def file_of(layout: Layout, add: Mapping[str, Any]) -> File:
    """The file that an `add` names. Bounds are believed of the columns in the layout alone."""
    if add.get("deletionVector"):
        raise NotOursError("the table has deletion vectors, which this store does not read")
    stats = orjson.loads(add["stats"])
    low, high = ({name: stats[side][name] for name in layout.bounded if name in stats.get(side, {})} for side in ("minValues", "maxValues"))
    numbers = {name for name in layout.bounded if layout.schema.field(name).type != "string"}
    for bounds in (low, high):
        for name, value in bounds.items():
            whole(value, least=-(2**63)) if name in numbers else text(value)
    return File(
        path=checked_path(layout, add["path"]),
        size_bytes=whole(add["size"]),
        rows=whole(stats["numRecords"]),
        low=low if low.keys() == high.keys() else {},
        high=high,
        stats=add["stats"],
        modified_ms=whole(add["modificationTime"]),
        tags={text(name): text(value) for name, value in (add.get("tags") or {}).items()},
    )


def remove_of(layout: Layout, retired: Retired, data_change: bool) -> dict[str, Any]:
    """The `remove` that names a file."""
    return {
        "path": quote(retired.path, safe="/="),
        "deletionTimestamp": retired.retired_ms,
        "dataChange": data_change,
        "extendedFileMetadata": True,
        "partitionValues": _partition_values(layout, retired.path),
        "size": retired.size_bytes,
    }


def retired_of(layout: Layout, remove: Mapping[str, Any]) -> Retired:
    """The file that a `remove` names."""
    return Retired(checked_path(layout, remove["path"]), whole(remove.get("deletionTimestamp") or 0), whole(remove.get("size") or 0))


def _partition_values(layout: Layout, path: str) -> dict[str, str]:
    return {} if layout.partition is None else {layout.partition: path.partition("/")[0].partition("=")[2]}

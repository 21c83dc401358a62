"""A checkpoint as a file: what a table's log says up to one commit, in the columns of Delta, and the hint that names the newest."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final, TypeVar

import orjson
import pyarrow as pa
import pyarrow.parquet as pq

from store.storage.objects import Entry, Objects
from store.tables.publishing import log_path

State = TypeVar("State")
Line = Mapping[str, Any]
"""One action, as in a commit: its kind, and what it says."""

HINT: Final = "_delta_log/_last_checkpoint"
_NAME: Final = re.compile(r"_delta_log/([0-9]{20})\.checkpoint\.parquet").fullmatch
_LOG_FILE: Final = re.compile(r"_delta_log/([0-9]{20})\.(json|checkpoint\.parquet)").fullmatch
_MAPS: Final = ("configuration", "partitionValues", "tags")
_TEXTS: Final = pa.map_(pa.string(), pa.string())
_SCHEMA: Final = pa.schema(
    {
        "txn": pa.struct({"appId": pa.string(), "version": pa.int64(), "lastUpdated": pa.int64()}),
        "add": pa.struct(
            {
                "path": pa.string(), "partitionValues": _TEXTS, "size": pa.int64(), "modificationTime": pa.int64(),
                "dataChange": pa.bool_(), "stats": pa.string(), "tags": _TEXTS,
            }
        ),
        "remove": pa.struct(
            {
                "path": pa.string(), "deletionTimestamp": pa.int64(), "dataChange": pa.bool_(), "extendedFileMetadata": pa.bool_(),
                "partitionValues": _TEXTS, "size": pa.int64(),
            }
        ),
        "metaData": pa.struct(
            {
                "id": pa.string(), "name": pa.string(), "description": pa.string(),
                "format": pa.struct({"provider": pa.string(), "options": _TEXTS}),
                "schemaString": pa.string(), "partitionColumns": pa.list_(pa.string()), "configuration": _TEXTS, "createdTime": pa.int64(),
            }
        ),
        "protocol": pa.struct(
            {
                "minReaderVersion": pa.int32(), "minWriterVersion": pa.int32(),
                "readerFeatures": pa.list_(pa.string()), "writerFeatures": pa.list_(pa.string()),
            }
        ),
    }
)  # fmt: skip


def write(objects: Objects, version: int, lines: Sequence[Line], live_files: int) -> int:
    """Write the checkpoint of a commit that is there; its size in bytes. Durable before the hint points to it.

    The folder of the log is synced with it, so after this every commit up to its version is durable, whoever made it.
    """
    sink = pa.BufferOutputStream()
    pq.write_table(pa.Table.from_pylist(list(lines), _SCHEMA), sink, compression="zstd", store_schema=False)
    body = sink.getvalue()
    objects.replace(path_of(version), body)
    hint = {"version": version, "size": len(lines), "sizeInBytes": len(body), "numOfAddFiles": live_files}
    if (newest := hinted(objects)) is None or newest <= version:           # another was quicker, with a newer one
        objects.replace(HINT, orjson.dumps(hint))
    return len(body)


def hinted(objects: Objects) -> int | None:
    """The version of the newest durable checkpoint, as the hint says; None for no hint, or a torn one."""
    try:
        version = orjson.loads(objects.get(HINT) or b"")["version"]
    except (orjson.JSONDecodeError, KeyError, TypeError):
        return None
    return version if type(version) is int and 0 <= version < 10**19 else None


def newest(objects: Objects, read_version: Callable[[int], State | None]) -> State | None:
    """The newest readable checkpoint; None if there is none, so that the log is read from commit 0.

    The hint and the newest checkpoint may be torn by a crash: both can be derived, so an older state will do. But a
    checkpoint whose own commit is gone was cleaned past, up to a newer one (a slow checkpointer may set the hint back):
    to go on from there would lose what came between.
    """
    hint = hinted(objects)
    if hint is not None and (state := read_version(hint)) is not None:
        return state
    return next((state for version in versions(objects) if (state := read_version(version)) is not None), None)


def cleaned_past(objects: Objects, version: int, read_version: Callable[[int], object | None]) -> bool:
    """Does the log begin with a checkpoint of this version or a later one?

    Only below a checkpoint is it ever cleaned, oldest first. The hint alone does not tell: a slow checkpointer may set it
    back, and damage may set it anywhere.
    """
    if version > 0 and objects.get(log_path(version - 1)) is None:
        return True
    hint = hinted(objects)
    return hint is not None and hint >= version and read_version(hint) is not None


def summed_up(objects: Objects, newest: int, age_ms: int, now_ms: int) -> list[Entry]:
    """The log files below the checkpoint `newest` that are so old: nobody needs them any more."""
    entries = list(objects.list("_delta_log"))
    # By the storage's clock: ours may be an hour ahead, and then everything would look old.
    limit_ms = min(now_ms, max((entry.modified_ms for entry in entries), default=0)) - age_ms
    return [e for e in entries if (name := _LOG_FILE(e.path)) and int(name[1]) < newest and e.modified_ms <= limit_ms]


def versions(objects: Objects) -> list[int]:
    """Those with a checkpoint of whatever kind, from new to old."""
    found = [_NAME(entry.path) for entry in objects.list("_delta_log")]
    return sorted((int(name[1]) for name in found if name), reverse=True)


def path_of(version: int) -> str:
    return f"_delta_log/{version:020d}.checkpoint.parquet"


def read(objects: Objects, version: int) -> Mapping[str, Sequence[dict[str, Any]]] | None:
    """What the checkpoint of this version says, kind by kind; None for no such one, or a torn one.

    One whose own commit is gone was cleaned past, up to a newer one: to go on from there would lose what came between.
    """
    if objects.get(log_path(version)) is None:
        return None
    try:
        # Not by `read_table`, whose datasets and threads take twice as long for a file so small.
        with pq.ParquetFile(pa.BufferReader(objects.get(path_of(version)) or b"")) as file:
            table = file.read(columns=_SCHEMA.names, use_threads=False)
        return {kind: _rows(table, kind) for kind in _SCHEMA.names}
    except (pa.ArrowException, OSError, UnicodeDecodeError):
        return None


def _rows(table: pa.Table, kind: str) -> list[dict[str, Any]]:
    if kind not in table.column_names:
        return []
    column = table[kind]
    return [_plain(row) for row in column.filter(column.is_valid()).to_pylist()]


def _plain(row: dict[str, Any]) -> dict[str, Any]:
    """Arrow gives maps as lists of pairs."""
    return {key: dict(value) if key in _MAPS and value is not None else value for key, value in row.items()}

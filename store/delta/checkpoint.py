"""Checkpoints: the state of the log at one version as a Parquet file, so that opening does not read every commit.

Written by ourselves, from the state in memory: deltalake would read the log again, keep every file that was replaced
within the hour (*measured*: tens of megabytes under steady traffic), and sync nothing.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any, Final, NamedTuple

import orjson
import pyarrow as pa
import pyarrow.parquet as pq

from store.delta.actions import (
    Retired,
    Segment,
    add_of,
    remove_of,
    retired_of,
    segment_of,
    understood,
)
from store.delta.table import NotOursError, Table, check_protocol, table_of
from store.storage.objects import Objects

_HINT: Final = "_delta_log/_last_checkpoint"
_NAME: Final = re.compile(r"_delta_log/([0-9]{20})\.checkpoint\.parquet").fullmatch
_TEXTS: Final = pa.map_(pa.string(), pa.string())
_SCHEMA: Final = pa.schema(
    {
        "txn": pa.struct({"appId": pa.string(), "version": pa.int64(), "lastUpdated": pa.int64()}),
        "add": pa.struct(
            {
                "path": pa.string(), "partitionValues": _TEXTS, "size": pa.int64(), "modificationTime": pa.int64(),
                "dataChange": pa.bool_(), "stats": pa.string(),
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


class State(NamedTuple):
    """What a checkpoint says. `recorded_ms`: the time of its last event."""

    version: int
    head: int
    recorded_ms: int
    table: Table
    segments: Sequence[Segment]
    retired: Sequence[Retired]


def write(objects: Objects, state: State) -> int:
    """Write the checkpoint of a commit that is there; its size in bytes. Durable before the hint points to it.

    The folder of the log is synced with it, so after this every commit up to its version is durable, whoever made it.
    """
    rows: list[dict[str, Any]] = [
        {"protocol": state.table.protocol()},
        {"metaData": state.table.metadata()},
        {"txn": {"appId": "log", "version": state.head, "lastUpdated": state.recorded_ms}},
        *({"remove": remove_of(retired)} for retired in state.retired),
        *({"add": add_of(segment, data_change=False)} for segment in state.segments),
    ]
    sink = pa.BufferOutputStream()
    pq.write_table(pa.Table.from_pylist(rows, _SCHEMA), sink, compression="zstd", store_schema=False)
    body = sink.getvalue()
    objects.replace(path_of(state.version), body)
    hint = {"version": state.version, "size": len(rows), "sizeInBytes": len(body), "numOfAddFiles": len(state.segments)}
    if (newest := hinted(objects)) is None or newest <= state.version:     # another was quicker, with a newer one
        objects.replace(_HINT, orjson.dumps(hint))
    return len(body)


def hinted(objects: Objects) -> int | None:
    """The version of the newest durable checkpoint, as the hint says; None for no hint, or a torn one."""
    try:
        version = orjson.loads(objects.get(_HINT) or b"")["version"]
    except (orjson.JSONDecodeError, KeyError, TypeError):
        return None
    return version if type(version) is int and 0 <= version < 10**19 else None


def read(objects: Objects) -> State | None:
    """The newest readable checkpoint; None if there is none, so that the log is read from commit 0.

    The hint and the newest checkpoint may be torn by a crash: both can be derived, so an older state will do. But a
    checkpoint whose own commit is gone was cleaned past, up to a newer one (a slow checkpointer may set the hint back):
    to go on from there would lose what came between.
    """
    hint = hinted(objects)
    if hint is not None and (state := read_version(objects, hint)) is not None:
        return state
    return next((state for version in versions(objects) if (state := read_version(objects, version)) is not None), None)


def versions(objects: Objects) -> list[int]:
    """Those with a checkpoint of whatever kind, from new to old."""
    found = [_NAME(entry.path) for entry in objects.list("_delta_log")]
    return sorted((int(name[1]) for name in found if name), reverse=True)


def path_of(version: int) -> str:
    return f"_delta_log/{version:020d}.checkpoint.parquet"


def read_version(objects: Objects, version: int) -> State | None:
    """The checkpoint of this version; None for no such one, or a torn one. NotOursError: another writer's.

    One whose own commit is gone was cleaned past, up to a newer one: to go on from there would lose what came between.
    """
    if objects.get(f"_delta_log/{version:020d}.json") is None:
        return None
    try:
        table = pq.read_table(pa.BufferReader(objects.get(path_of(version)) or b""), columns=_SCHEMA.names)
    except (pa.ArrowException, OSError):
        return None
    with understood(f"checkpoint {version}"):
        return _state(version, table)


def _state(version: int, table: pa.Table) -> State:
    def rows(kind: str) -> list[dict[str, Any]]:
        if kind not in table.column_names:
            return []
        column = table[kind]
        return [_plain(row) for row in column.filter(column.is_valid()).to_pylist()]

    protocols, metadata = rows("protocol"), rows("metaData")
    heads = [txn for txn in rows("txn") if txn["appId"] == "log"]
    if not len(protocols) == len(metadata) == len(heads) == 1:
        raise NotOursError(f"checkpoint {version} does not say what the table is and where the log ends")
    check_protocol(protocols[0])
    return State(
        version,
        heads[0]["version"],
        heads[0]["lastUpdated"] or 0,
        table_of(metadata[0]),
        [segment_of(add) for add in rows("add")],
        [retired_of(remove) for remove in rows("remove")],
    )


def _plain(row: dict[str, Any]) -> dict[str, Any]:
    """Arrow gives maps as lists of pairs."""
    return {key: dict(value) if key in ("configuration", "partitionValues") and value is not None else value for key, value in row.items()}

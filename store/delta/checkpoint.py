"""Checkpoints: the state of the log at one version as a Parquet file, so that opening does not read every commit."""

from __future__ import annotations

import re
from typing import Any, Final, NamedTuple

import deltalake
import deltalake.exceptions
import orjson
import pyarrow as pa
import pyarrow.parquet as pq

from store.delta.actions import NotOursError, Segment, check_metadata, check_protocol, segment_of, understood
from store.delta.objects import Objects
from store.errors import StorageError

_HINT: Final = "_delta_log/_last_checkpoint"
_NAME: Final = re.compile(r"_delta_log/([0-9]{20})\.checkpoint\.parquet").fullmatch


class State(NamedTuple):
    """What a checkpoint says."""

    version: int
    head: int
    segments: list[Segment]


def write(objects: Objects, version: int) -> None:
    """Write the checkpoint of a commit that is there. Durable before anything may rely on it.

    The version is named because a listing taken while others commit may show commit n + 1 without n, and fail.
    """
    try:
        deltalake.DeltaTable(objects.uri, version=version, storage_options=dict(objects.storage_options())).create_checkpoint()
    except (deltalake.exceptions.DeltaError, OSError) as error:
        raise StorageError(f"cannot write a checkpoint of {objects.uri} ({error})") from error
    objects.sync(_path(version))
    objects.sync(_HINT)


def exists(objects: Objects) -> bool:
    """Is there a checkpoint, so that this is a log even without its first commits?"""
    return objects.get(_HINT) is not None


def read(objects: Objects) -> State | None:
    """The newest readable checkpoint; None if there is none, so that the log is read from commit 0.

    The hint and the newest checkpoint may be torn by a crash: both can be derived, so an older state will do.
    """
    for version in _versions(objects):
        try:
            table = pq.read_table(pa.BufferReader(objects.get(_path(version)) or b""), columns=["add", "txn", "metaData", "protocol"])
        except (pa.ArrowException, OSError):
            continue
        with understood(f"checkpoint {version}"):
            return _state(version, table)
    return None


def _versions(objects: Objects) -> list[int]:
    """The hinted version, then all others from new to old."""
    try:
        hinted = [int(orjson.loads(objects.get(_HINT) or b"")["version"])]
    except (orjson.JSONDecodeError, KeyError, TypeError, ValueError):
        hinted = []
    if hinted and _NAME(_path(hinted[0])) and objects.get(_path(hinted[0])):
        return hinted
    found = [_NAME(entry.path) for entry in objects.list("_delta_log")]
    return sorted((int(name[1]) for name in found if name), reverse=True)


def _state(version: int, table: pa.Table) -> State:
    def rows(kind: str) -> list[dict[str, Any]]:
        column = table[kind]
        return [_plain(row) for row in column.filter(column.is_valid()).to_pylist()]

    if not (rows("protocol") and rows("metaData")):
        raise NotOursError(f"checkpoint {version} does not say what table this is")
    for protocol in rows("protocol"):
        check_protocol(protocol)
    for metadata in rows("metaData"):
        check_metadata(metadata)
    heads = [txn["version"] for txn in rows("txn") if txn["appId"] == "log"]
    if len(heads) != 1:
        raise NotOursError(f"checkpoint {version} does not say where the log ends")
    return State(version, heads[0], [segment_of(add) for add in rows("add")])


def _plain(row: dict[str, Any]) -> dict[str, Any]:
    """Arrow gives maps as lists of pairs."""
    return {key: dict(value) if key in ("configuration", "partitionValues") and value is not None else value for key, value in row.items()}


def _path(version: int) -> str:
    return f"_delta_log/{version:020d}.checkpoint.parquet"

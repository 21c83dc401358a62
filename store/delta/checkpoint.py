"""Checkpoints: the state of the log at one version as a Parquet file, so that opening does not read every commit."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from typing import Any, Final, NamedTuple

import deltalake
import deltalake.exceptions
import orjson
import pyarrow as pa
import pyarrow.parquet as pq

from store.delta.actions import NotOursError, Segment, check_metadata, check_protocol, segment_of
from store.delta.objects import Objects
from store.errors import StorageError

_HINT: Final = "_delta_log/_last_checkpoint"


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
    """Is there anything of a log, so that a missing first commit does not mean that there is none?"""
    return objects.get(_HINT) is not None or any(True for _ in objects.list("_delta_log"))


def names(objects: Objects) -> list[str]:
    """The checkpoints there are, whole or not, from old to new."""
    found = [entry.path.removeprefix("_delta_log/") for entry in objects.list("_delta_log")]
    return [name for name in found if name.endswith(".checkpoint.parquet") and name[:20].isdigit()]


def read(objects: Objects) -> State | None:
    """The newest readable checkpoint; None if there is none, so that the log is read from commit 0.

    The hint and the newest checkpoint may be torn by a crash: both can be derived, so an older state will do. But a
    checkpoint whose own commit is gone was cleaned past, up to a newer one (a slow checkpointer may set the hint back):
    to go on from there would lose what came between.
    """
    for version in _versions(objects):
        if objects.get(f"_delta_log/{version:020d}.json") is None:
            continue
        try:
            table = pq.read_table(pa.BufferReader(objects.get(_path(version)) or b""), columns=["add", "txn", "metaData", "protocol"])
        except (pa.ArrowInvalid, OSError):
            continue
        return _state(version, table)
    return None


def _versions(objects: Objects) -> Iterator[int]:
    """The hinted version, then all others from new to old."""
    with suppress(orjson.JSONDecodeError, KeyError, TypeError, ValueError):
        yield int(orjson.loads(objects.get(_HINT) or b"")["version"])
    yield from (int(name[:20]) for name in reversed(names(objects)))


def _state(version: int, table: pa.Table) -> State:
    def rows(kind: str) -> list[dict[str, Any]]:
        column = table[kind]
        return [_plain(row) for row in column.filter(column.is_valid()).to_pylist()]

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

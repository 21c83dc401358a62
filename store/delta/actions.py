"""The lines of a Delta commit, and the values that we make of them."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final
from urllib.parse import quote, unquote

import orjson

from store.schema import EVENTS
from store.times import LATEST, microseconds, moment

FEATURE: Final = "alluvium"
"""Our writer feature: unknown to other writers, so they refuse to change the table; readers need nothing new."""
FORMAT: Final = "1"
LISTED_STREAMS: Final = 1_000
"""A commit over more streams than this does not list their versions; readers find them in its files."""

_PATH: Final = re.compile(r"shard=h[0-9a-f]{0,4}/[0-9]+-[0-9]+-[0-9a-f]{32}\.parquet").fullmatch
_DELTA_TYPES: Final = {"int64": "long", "int32": "integer", "string": "string", "timestamp[us, tz=UTC]": "timestamp"}


class NotOursError(Exception):
    """A commit or checkpoint that this store did not write, or that is torn. The message says what is wrong."""


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
    streams: frozenset[str] | None = None
    """Its streams, where the commit lists them: then a look-up need not open the file to know that it is not there."""

    @property
    def shard(self) -> str:
        return self.path[6 : self.path.index("/")]

    @property
    def run(self) -> tuple[int, int]:
        """The positions of the run that it was written with; its own rows may span fewer."""
        first, last, _ = self.path[self.path.index("/") + 1 :].split("-", 2)
        return int(first), int(last)


@dataclass(frozen=True, slots=True)
class Commit:
    """What one commit did. `heads`: stream -> version, None where the commit does not list them."""

    version: int
    commit_id: str
    recorded_at: int
    head: int
    added: Sequence[Segment]
    removed: Sequence[str]
    heads: Mapping[str, int] | None
    appends: bool


def creation(table_id: str, created_ms: int) -> bytes:
    """Commit 0: the protocol, the schema, our format."""
    return _lines(
        {"commitInfo": {"timestamp": created_ms, "operation": "CREATE TABLE", "operationParameters": {}, FEATURE: _mark(table_id, 0, 0, None)}},
        {"protocol": {"minReaderVersion": 1, "minWriterVersion": 7, "writerFeatures": [FEATURE]}},
        {
            "metaData": {
                "id": table_id,
                "name": "events",
                "description": "The event log of an Alluvium warehouse: one row an event, in total order by position.",
                "format": {"provider": "parquet", "options": {}},
                "schemaString": orjson.dumps(_delta_schema()).decode(),
                "partitionColumns": ["shard"],
                "configuration": {
                    "alluvium.format": FORMAT,
                    # Foreign clean-up must not outrun our own: we say when log files and replaced files go.
                    "delta.enableExpiredLogCleanup": "false",
                    "delta.logRetentionDuration": "interval 1 hours",
                    "delta.deletedFileRetentionDuration": "interval 1 hours",
                },
                "createdTime": created_ms,
            }
        },
        {"txn": {"appId": "log", "version": 0, "lastUpdated": created_ms}},
    )


def appending(commit_id: str, recorded_at: int, head: int, added: Sequence[Segment], heads: Mapping[str, int]) -> bytes:
    """A commit of new events up to position `head`."""
    info = {
        "timestamp": recorded_at // 1000,
        "operation": "WRITE",
        "operationParameters": {"mode": "Append"},
        FEATURE: _mark(commit_id, recorded_at, head, heads if len(heads) <= LISTED_STREAMS else None),
    }
    txn = {"txn": {"appId": "log", "version": head, "lastUpdated": recorded_at // 1000}}
    return _lines({"commitInfo": info}, txn, *(_add(segment, data_change=True) for segment in added))


def replacing(commit_id: str, recorded_at: int, head: int, removed: Sequence[Segment], added: Sequence[Segment], now_ms: int) -> bytes:
    """A commit that puts the same events into other files."""
    info = {
        "timestamp": now_ms,
        "operation": "OPTIMIZE",
        "operationParameters": {},
        FEATURE: _mark(commit_id, recorded_at, head, None),
    }
    removals = [
        {
            "remove": {
                "path": quote(segment.path),
                "deletionTimestamp": now_ms,
                "dataChange": False,
                "extendedFileMetadata": True,
                "partitionValues": {"shard": segment.shard},
                "size": segment.size_bytes,
            }
        }
        for segment in removed
    ]
    return _lines({"commitInfo": info}, *removals, *(_add(segment, data_change=False) for segment in added))


@dataclass(frozen=True, slots=True)
class Share:
    """What a copy takes over of another log in one commit: the files of a range of positions, in place of those that it had.

    `before`, `head`: the copy's last position until then, and after it.
    """

    before: int
    head: int
    recorded_at: int
    removed: Sequence[Segment]
    added: Sequence[Segment]


def copying(commit_id: str, share: Share, now_ms: int, creates: str | None) -> bytes:
    """A commit of a copy. `creates`: the table's id, if this commit is the table's first."""
    info = {
        "timestamp": now_ms,
        "operation": "CLONE",
        "operationParameters": {},
        FEATURE: _mark(commit_id, share.recorded_at, share.head, None),
    }
    txn = {"txn": {"appId": "log", "version": share.head, "lastUpdated": share.recorded_at // 1000}}
    created = b"" if creates is None else _only(creation(creates, now_ms), "protocol", "metaData")
    removals = _only(replacing(commit_id, share.recorded_at, share.head, share.removed, (), now_ms), "remove")
    # A file without rows beyond the old head says in other words what was there.
    additions = _lines(*(_add(segment, data_change=segment.last > share.before) for segment in share.added))
    return _lines({"commitInfo": info}) + created + _lines(txn) + removals + additions


def decode(version: int, body: bytes) -> Commit:
    """Read a commit. NotOursError when it is empty, torn, foreign, or needs what we do not know."""
    if not body.strip(b"\0\n "):
        raise NotOursError(f"commit {version} is empty (a crash or a copy tore it)")
    try:
        actions = [orjson.loads(line) for line in body.splitlines() if line.strip()]
    except orjson.JSONDecodeError as error:
        raise NotOursError(f"commit {version} is torn ({error})") from error
    merged: dict[str, list[Any]] = {}
    for action in actions:
        for kind, value in action.items():
            merged.setdefault(kind, []).append(value)
    for protocol in merged.get("protocol", []):
        check_protocol(protocol)
    for metadata in merged.get("metaData", []):
        check_metadata(metadata)
    mark = next((info.get(FEATURE) for info in merged.get("commitInfo", []) if FEATURE in info), None)
    if mark is None:
        who = next((str(info.get("engineInfo") or info.get("operation")) for info in merged.get("commitInfo", [])), "an unknown writer")
        raise NotOursError(f"commit {version} was written by a foreign writer ({who})")
    heads = mark["heads"]
    streams = frozenset(heads) if heads is not None else None
    return Commit(
        version=version,
        commit_id=mark["commit"],
        recorded_at=mark["recorded_at"],
        head=mark["head"],
        added=[segment_of(add, streams) for add in merged.get("add", [])],
        removed=[checked_path(remove["path"]) for remove in merged.get("remove", [])],
        heads=heads,
        appends="txn" in merged,
    )


def commit_id_of(body: bytes) -> str:
    """The uuid of the commit, without reading the rest; empty for a foreign one."""
    try:
        return str(orjson.loads(body.split(b"\n", 1)[0])["commitInfo"][FEATURE]["commit"])
    except (orjson.JSONDecodeError, KeyError, TypeError):
        return ""


def check_protocol(protocol: Mapping[str, Any]) -> None:
    features = set(protocol.get("writerFeatures") or ()) | set(protocol.get("readerFeatures") or ())
    if FEATURE not in features:
        needs = ", ".join(sorted(features)) or "none"
        raise NotOursError(f"the table lacks the writer feature 'alluvium', so it is no Alluvium log (its features: {needs})")
    if features != {FEATURE} or protocol["minReaderVersion"] != 1 or protocol["minWriterVersion"] != 7:
        extra = ", ".join(sorted(features - {FEATURE})) or f"reader {protocol['minReaderVersion']}, writer {protocol['minWriterVersion']}"
        raise NotOursError(f"the table needs Delta features that this store does not write: {extra}")


def check_metadata(metadata: Mapping[str, Any]) -> None:
    configuration = dict(metadata.get("configuration") or {})
    if configuration.get("alluvium.format") != FORMAT:
        raise NotOursError(f"the log has format {configuration.get('alluvium.format')!r}, this store writes format {FORMAT!r}")
    if orjson.loads(metadata["schemaString"]) != _delta_schema() or list(metadata["partitionColumns"]) != ["shard"]:
        raise NotOursError("the table's columns are not those of an event log")


def segment_of(add: Mapping[str, Any], streams: frozenset[str] | None = None) -> Segment:
    """The file that an `add` names."""
    try:
        stats = orjson.loads(add["stats"])
        low, high = stats["minValues"], stats["maxValues"]
        if add.get("deletionVector"):
            raise NotOursError("the table has deletion vectors, which this store does not write")
        return Segment(
            path=checked_path(add["path"]),
            size_bytes=add["size"],
            rows=stats["numRecords"],
            first=low["position"],
            last=high["position"],
            lowest_stream=low["stream_id"],
            highest_stream=high["stream_id"],
            lowest_type=low["type"],
            highest_type=high["type"],
            recorded_from=_microseconds(low["recorded_at"]),
            recorded_until=_microseconds(high["recorded_at"]),
            stats=add["stats"],
            modified_ms=add["modificationTime"],
            streams=streams,
        )
    except (KeyError, TypeError, ValueError) as error:
        raise NotOursError(f"file {add.get('path')!r} has no statistics of ours ({error!r})") from error


def checked_path(path: str) -> str:
    """The decoded path; NotOursError unless it is one that this store makes, so that a log from elsewhere cannot point outside."""
    plain = unquote(path)
    if not _PATH(plain):
        raise NotOursError(f"the log names a file that is not one of ours: {path!r}")
    return plain


def rfc3339(instant_us: int) -> str:
    """Statistics hold times in milliseconds, rounded down."""
    return f"{moment(instant_us // 1_000_000 * 1_000_000).isoformat()[:19]}.{instant_us // 1000 % 1000:03d}Z"


def rfc3339_above(instant_us: int) -> str:
    """The same, rounded up, so that it bounds the time from above."""
    return rfc3339(min(instant_us + 999, LATEST))


def _microseconds(text: str) -> int:
    return microseconds(datetime.fromisoformat(text))


def _mark(commit_id: str, recorded_at: int, head: int, heads: Mapping[str, int] | None) -> dict[str, Any]:
    return {"commit": commit_id, "recorded_at": recorded_at, "head": head, "heads": heads}


def _add(segment: Segment, data_change: bool) -> dict[str, Any]:
    return {
        "add": {
            "path": quote(segment.path),
            "partitionValues": {"shard": segment.shard},
            "size": segment.size_bytes,
            "modificationTime": segment.modified_ms,
            "dataChange": data_change,
            "stats": segment.stats,
        }
    }


def _delta_schema() -> dict[str, Any]:
    def column(name: str, kind: Any, nullable: bool) -> dict[str, Any]:
        return {"name": name, "type": kind, "nullable": nullable, "metadata": {}}

    tags = {"type": "array", "elementType": "string", "containsNull": False}
    columns = [column(f.name, _DELTA_TYPES.get(str(f.type), tags), f.nullable) for f in EVENTS]
    return {"type": "struct", "fields": [*columns, column("shard", "string", nullable=False)]}


def _only(body: bytes, *kinds: str) -> bytes:
    """The lines of a commit that hold actions of these kinds."""
    starts = tuple(f'{{"{kind}":'.encode() for kind in kinds)
    return b"".join(line for line in body.splitlines(keepends=True) if line.startswith(starts))


def _lines(*actions: Mapping[str, Any]) -> bytes:
    return b"".join(orjson.dumps(action) + b"\n" for action in actions)

"""The lines of a Delta commit, and the values that we make of them."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from hashlib import md5
from typing import Any, Final
from urllib.parse import quote, unquote

import orjson

from store.delta.table import FEATURE, NotOursError, Table, check_protocol, table_of
from store.shard import MARK_SIGNS
from store.tables.files import Retired as Retired
from store.tables.publishing import commit_id_of as commit_id_of
from store.tables.shape import text, understood, whole
from store.times import LATEST, microseconds, moment

LISTED_STREAMS: Final = 1_000
"""A commit over more streams than this does not list their versions; readers find them in its files."""

CLOCK: Final = "clock"
"""The application whose transactions are times, in microseconds: who writes a checkpoint for us keeps them too."""
_VACUUM_START: Final = "VACUUM START"
_ERASE: Final = "ERASE"
_COPY: Final = "CLONE"
_REWRITTEN: Final = "alluvium.rewritten"
_CLAIM: Final = "CLAIM"
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


@dataclass(frozen=True, slots=True)
class Writer:
    """Which of several machines made a commit, and how long a try to commit takes there. See `Rota`."""

    machine: str
    takes_ms: int


@dataclass(frozen=True, slots=True)
class Commit:
    """What one commit did. `heads`: stream -> version, None where the commit does not list them.

    `table`: what the log is, said by the commit that makes it. `vacuum`: nothing but to mark that a vacuum begins.
    `vacuumed_ms`: the files retired by that moment are gone. `claims`: nothing but to ask that its writer may be the next one.
    `erases`: events that were there say something else from now on, so whoever remembers some must forget them.
    """

    version: int
    commit_id: str
    recorded_at: int
    head: int
    added: Sequence[Segment] = ()
    removed: Sequence[Retired] = ()
    heads: Mapping[str, int] | None = None
    appends: bool = False
    table: Table | None = None
    vacuum: bool = False
    vacuumed_ms: int | None = None
    writer: Writer | None = None
    claims: bool = False
    erases: bool = False


def mark_of(marks: Iterable[str]) -> str:
    """The mark of events that have been through all that these tell of; empty ones tell of nothing."""
    several = sorted(set(marks) - {""})
    return several[0] if len(several) == 1 else md5("".join(several).encode()).hexdigest() if several else ""


def creation(table: Table) -> bytes:
    """Commit 0: the protocol, the schema, our format."""
    info = {
        "timestamp": table.created_ms,
        "operation": "CREATE TABLE",
        "operationParameters": {},
        FEATURE: _mark(table.table_id, 0, 0, None),
    }
    txn = {"txn": {"appId": "log", "version": 0, "lastUpdated": table.created_ms}}
    return _lines({"commitInfo": info}, {"protocol": table.protocol()}, {"metaData": table.metadata()}, txn)


def appending(
    commit_id: str, recorded_at: int, head: int, added: Sequence[Segment], heads: Mapping[str, int], writer: Writer | None = None
) -> bytes:
    """A commit of new events up to position `head`."""
    info = {
        "timestamp": recorded_at // 1000,
        "operation": "WRITE",
        "operationParameters": {"mode": "Append"},
        FEATURE: _mark(commit_id, recorded_at, head, heads if len(heads) <= LISTED_STREAMS else None) | _by(writer),
    }
    txn = {"txn": {"appId": "log", "version": head, "lastUpdated": recorded_at // 1000}}
    return _lines({"commitInfo": info}, txn, *({"add": add_of(segment, data_change=True)} for segment in added))


def claiming(commit_id: str, recorded_at: int, head: int, now_ms: int, writer: Writer) -> bytes:
    """A commit of nothing, by which its writer asks the others to let it be the next one."""
    info = {
        "timestamp": now_ms,
        "operation": _CLAIM,
        "operationParameters": {},
        FEATURE: _mark(commit_id, recorded_at, head, None) | _by(writer),
    }
    return _lines({"commitInfo": info})


def replacing(commit_id: str, recorded_at: int, head: int, removed: Sequence[Segment], added: Sequence[Segment], now_ms: int) -> bytes:
    """A commit that puts the same events into other files."""
    info = {
        "timestamp": now_ms,
        "operation": "OPTIMIZE",
        "operationParameters": {},
        FEATURE: _mark(commit_id, recorded_at, head, None),
    }
    removals = ({"remove": remove_of(Retired(segment.path, now_ms, segment.size_bytes))} for segment in removed)
    return _lines({"commitInfo": info}, *removals, *({"add": add_of(segment, data_change=False)} for segment in added))


def erasing(commit_id: str, recorded_at: int, head: int, removed: Sequence[Segment], added: Sequence[Segment], now_ms: int) -> bytes:
    """A commit that puts other files in the place of these: the same events, some of which say less."""
    info = {
        "timestamp": now_ms,
        "operation": _ERASE,
        "operationParameters": {},
        FEATURE: _mark(commit_id, recorded_at, head, None),
    }
    removals = ({"remove": remove_of(Retired(segment.path, now_ms, segment.size_bytes), data_change=True)} for segment in removed)
    return _lines({"commitInfo": info}, *removals, *({"add": add_of(segment, data_change=True)} for segment in added))


def vacuuming(commit_id: str, recorded_at: int, head: int, now_ms: int, retired_until_ms: int | None) -> bytes:
    """The commit that begins a vacuum (None), or ends it: what was retired by that moment is gone."""
    info = {
        "timestamp": now_ms,
        "operation": _VACUUM_START if retired_until_ms is None else "VACUUM END",
        "operationParameters": {},
        FEATURE: _mark(commit_id, recorded_at, head, None) | {"vacuumed_ms": retired_until_ms},
    }
    return _lines({"commitInfo": info})


def ticking(commit_id: str, recorded_at: int, head: int, now_ms: int) -> bytes:
    """A commit of nothing but a time: no later event is recorded before it."""
    info = {"timestamp": now_ms, "operation": "TICK", "operationParameters": {}, FEATURE: _mark(commit_id, recorded_at, head, None)}
    return _lines({"commitInfo": info}, {"txn": {"appId": CLOCK, "version": recorded_at, "lastUpdated": now_ms}})


def sealing(commit_id: str, recorded_at: int, head: int, now_ms: int, table: Table) -> bytes:
    """The commit after which no event comes: `table` says which logs go on."""
    info = {"timestamp": now_ms, "operation": "SEAL", "operationParameters": {}, FEATURE: _mark(commit_id, recorded_at, head, None)}
    return _lines({"commitInfo": info}, {"metaData": table.metadata()})


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


def copying(commit_id: str, share: Share, now_ms: int, creates: Table | None) -> bytes:
    """A commit of a copy. `creates`: what the table is, if this commit is its first."""
    info = {
        "timestamp": now_ms,
        "operation": _COPY,
        "operationParameters": {},
        FEATURE: _mark(commit_id, share.recorded_at, share.head, None),
    }
    txn = {"txn": {"appId": "log", "version": share.head, "lastUpdated": share.recorded_at // 1000}}
    created = () if creates is None else ({"protocol": creates.protocol()}, {"metaData": creates.metadata()})
    removals = ({"remove": remove_of(Retired(segment.path, now_ms, segment.size_bytes))} for segment in share.removed)
    # A file without rows beyond the old head says in other words what was there.
    additions = ({"add": add_of(segment, data_change=segment.last > share.before)} for segment in share.added)
    return _lines({"commitInfo": info}, *created, txn, *removals, *additions)


def decode(version: int, body: bytes) -> Commit:
    """Read a commit. NotOursError when it is empty, torn, foreign, or needs what we do not know."""
    with understood(f"commit {version}"):
        return _decoded(version, body)


def _decoded(version: int, body: bytes) -> Commit:
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
    if version == 0 and not ("protocol" in merged and "metaData" in merged):
        raise NotOursError("commit 0 does not say what table this is")
    for protocol in merged.get("protocol", []):
        check_protocol(protocol)
    tables = [table_of(metadata) for metadata in merged.get("metaData", [])]
    info: Mapping[str, Any] = next(iter(merged.get("commitInfo", [])), {})
    if (mark := info.get(FEATURE)) is None:
        who = str(info.get("engineInfo") or info.get("operation") or "an unknown writer")
        raise NotOursError(f"commit {version} was written by a foreign writer ({who})")
    heads = mark["heads"]
    if heads is not None and not all(type(there) is int for there in heads.values()):
        raise NotOursError(f"commit {version} lists versions that are no numbers")
    streams = frozenset(heads) if heads is not None else None
    return Commit(
        version=version,
        commit_id=text(mark["commit"]),
        recorded_at=whole(mark["recorded_at"], most=LATEST),
        head=whole(mark["head"]),
        added=[segment_of(add, streams) for add in merged.get("add", [])],
        removed=[retired_of(remove) for remove in merged.get("remove", [])],
        heads=heads,
        appends=any(txn["appId"] == "log" for txn in merged.get("txn", [])),
        table=tables[-1] if tables else None,
        vacuum=info.get("operation") == _VACUUM_START,
        vacuumed_ms=None if mark.get("vacuumed_ms") is None else whole(mark["vacuumed_ms"]),
        writer=None if mark.get("writer") is None else Writer(text(mark["writer"]), whole(mark["takes_ms"])),
        claims=info.get("operation") == _CLAIM,
        erases=info.get("operation") == _ERASE or (info.get("operation") == _COPY and "remove" in merged),
    )


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


def _mark(commit_id: str, recorded_at: int, head: int, heads: Mapping[str, int] | None) -> dict[str, Any]:
    return {"commit": commit_id, "recorded_at": recorded_at, "head": head, "heads": heads}


def _by(writer: Writer | None) -> dict[str, Any]:
    return {} if writer is None else {"writer": writer.machine, "takes_ms": writer.takes_ms}


def _lines(*actions: Mapping[str, Any]) -> bytes:
    return b"".join(orjson.dumps(action) + b"\n" for action in actions)

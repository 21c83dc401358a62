"""What one commit to the log says, as its writers put it, and as its readers understand it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import orjson

from store.delta.actions import Segment, add_of, remove_of, retired_of, segment_of
from store.delta.table import FEATURE, NotOursError, Table, check_protocol, table_of
from store.tables.files import Retired
from store.tables.publishing import commit_id_of as commit_id_of
from store.tables.shape import text, understood, whole
from store.times import LATEST

LISTED_STREAMS: Final = 1_000
"""A commit over more streams than this does not list their versions; readers find them in its files."""

CLOCK: Final = "clock"
"""The application whose transactions are times, in microseconds: who writes a checkpoint for us keeps them too."""
_VACUUM_START: Final = "VACUUM START"
_ERASE: Final = "ERASE"
_COPY: Final = "CLONE"
_CLAIM: Final = "CLAIM"


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


def creation(table: Table) -> bytes:
    """Commit 0: the protocol, the schema, our format."""
    info = _info("CREATE TABLE", table.created_ms, _mark(table.table_id, 0, 0, None))
    txn = {"txn": {"appId": "log", "version": 0, "lastUpdated": table.created_ms}}
    return _lines(info, {"protocol": table.protocol()}, {"metaData": table.metadata()}, txn)


def appending(
    commit_id: str, recorded_at: int, head: int, added: Sequence[Segment], heads: Mapping[str, int], writer: Writer | None = None
) -> bytes:
    """A commit of new events up to position `head`."""
    mark = _mark(commit_id, recorded_at, head, heads if len(heads) <= LISTED_STREAMS else None) | _by(writer)
    info = _info("WRITE", recorded_at // 1000, mark, mode="Append")
    txn = {"txn": {"appId": "log", "version": head, "lastUpdated": recorded_at // 1000}}
    return _lines(info, txn, *({"add": add_of(segment, data_change=True)} for segment in added))


def claiming(commit_id: str, recorded_at: int, head: int, now_ms: int, writer: Writer) -> bytes:
    """A commit of nothing, by which its writer asks the others to let it be the next one."""
    info = _info(_CLAIM, now_ms, _mark(commit_id, recorded_at, head, None) | _by(writer))
    return _lines(info)


def replacing(commit_id: str, recorded_at: int, head: int, removed: Sequence[Segment], added: Sequence[Segment], now_ms: int) -> bytes:
    """A commit that puts the same events into other files."""
    info = _info("OPTIMIZE", now_ms, _mark(commit_id, recorded_at, head, None))
    removals = ({"remove": remove_of(Retired(segment.path, now_ms, segment.size_bytes))} for segment in removed)
    return _lines(info, *removals, *({"add": add_of(segment, data_change=False)} for segment in added))


def erasing(commit_id: str, recorded_at: int, head: int, removed: Sequence[Segment], added: Sequence[Segment], now_ms: int) -> bytes:
    """A commit that puts other files in the place of these: the same events, some of which say less."""
    info = _info(_ERASE, now_ms, _mark(commit_id, recorded_at, head, None))
    removals = ({"remove": remove_of(Retired(segment.path, now_ms, segment.size_bytes), data_change=True)} for segment in removed)
    return _lines(info, *removals, *({"add": add_of(segment, data_change=True)} for segment in added))


def vacuuming(commit_id: str, recorded_at: int, head: int, now_ms: int, retired_until_ms: int | None) -> bytes:
    """The commit that begins a vacuum (None), or ends it: what was retired by that moment is gone."""
    operation = _VACUUM_START if retired_until_ms is None else "VACUUM END"
    info = _info(operation, now_ms, _mark(commit_id, recorded_at, head, None) | {"vacuumed_ms": retired_until_ms})
    return _lines(info)


def ticking(commit_id: str, recorded_at: int, head: int, now_ms: int) -> bytes:
    """A commit of nothing but a time: no later event is recorded before it."""
    info = _info("TICK", now_ms, _mark(commit_id, recorded_at, head, None))
    return _lines(info, {"txn": {"appId": CLOCK, "version": recorded_at, "lastUpdated": now_ms}})


def sealing(commit_id: str, recorded_at: int, head: int, now_ms: int, table: Table) -> bytes:
    """The commit after which no event comes: `table` says which logs go on."""
    info = _info("SEAL", now_ms, _mark(commit_id, recorded_at, head, None))
    return _lines(info, {"metaData": table.metadata()})


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
    info = _info(_COPY, now_ms, _mark(commit_id, share.recorded_at, share.head, None))
    txn = {"txn": {"appId": "log", "version": share.head, "lastUpdated": share.recorded_at // 1000}}
    created = () if creates is None else ({"protocol": creates.protocol()}, {"metaData": creates.metadata()})
    removals = ({"remove": remove_of(Retired(segment.path, now_ms, segment.size_bytes))} for segment in share.removed)
    # A file without rows beyond the old head says in other words what was there.
    additions = ({"add": add_of(segment, data_change=segment.last > share.before)} for segment in share.added)
    return _lines(info, *created, txn, *removals, *additions)


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


def _info(operation: str, at_ms: int, mark: Mapping[str, Any], **parameters: str) -> dict[str, Any]:
    return {"commitInfo": {"timestamp": at_ms, "operation": operation, "operationParameters": parameters, FEATURE: mark}}


def _mark(commit_id: str, recorded_at: int, head: int, heads: Mapping[str, int] | None) -> dict[str, Any]:
    return {"commit": commit_id, "recorded_at": recorded_at, "head": head, "heads": heads}


def _by(writer: Writer | None) -> dict[str, Any]:
    return {} if writer is None else {"writer": writer.machine, "takes_ms": writer.takes_ms}


def _lines(*actions: Mapping[str, Any]) -> bytes:
    return b"".join(orjson.dumps(action) + b"\n" for action in actions)

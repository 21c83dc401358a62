"""One commit of a table: what it did, and its lines."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import orjson

from store.tables.files import File, Retired, add_of, file_of, remove_of, retired_of
from store.tables.layout import Identity, Layout
from store.tables.publishing import FEATURE
from store.tables.shape import NotOursError, text, understood, whole

VACUUM_START: Final = "VACUUM START"
VACUUM_END: Final = "VACUUM END"


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """What a commit does to a table, whichever number it gets.

    `operation`: in Delta's words. `data_change`: False if the rows stay the same and only lie in other files.
    `txns`: app id -> version, as Delta's transaction identifiers. `vacuumed_ms`: the files retired by that moment are gone.
    `anew`: forgets all that was before, for a log that cannot be read. `marks`: what is said of the table from now on; see `Identity`.
    """

    operation: str
    added: Sequence[File] = ()
    removed: Sequence[Retired] = ()
    data_change: bool = True
    txns: Mapping[str, int] = field(default_factory=dict)
    vacuumed_ms: int | None = None
    anew: bool = False
    marks: Mapping[str, str] | None = None


@dataclass(frozen=True, slots=True)
class Commit:
    """A change that has a number. `table`: what the table is, where the commit says so. `commit_id`: empty for a foreign one."""

    version: int
    commit_id: str
    change: Change
    table: Identity | None = None


def encode(layout: Layout, commit: Commit, now_ms: int) -> bytes:
    """The lines of a commit."""
    change = commit.change
    info = {
        "timestamp": now_ms,
        "operation": change.operation,
        "operationParameters": {"mode": "Append"} if change.operation == "WRITE" else {},
        FEATURE: {"commit": commit.commit_id, "vacuumed_ms": change.vacuumed_ms, "anew": change.anew},
    }
    lines: list[dict[str, Any]] = [{"commitInfo": info}]
    if commit.table is not None:
        lines += [{"protocol": layout.protocol()}, {"metaData": layout.metadata(commit.table)}]
    lines += ({"txn": {"appId": app, "version": version, "lastUpdated": now_ms}} for app, version in change.txns.items())
    lines += ({"remove": remove_of(layout, retired, change.data_change)} for retired in change.removed)
    lines += ({"add": add_of(layout, file, change.data_change)} for file in change.added)
    return b"".join(orjson.dumps(line) + b"\n" for line in lines)


def decode(layout: Layout, version: int, body: bytes) -> Commit:
    """Read a commit. NotOursError when it is empty, torn, of another kind of table, or a stranger's in a table that is ours alone."""
    with understood(f"commit {version}"):
        said = _said(version, body)
        tables = [layout.identity_of(metadata) for metadata in said.get("metaData", [])]     # first: a newer table may need more of its writers
        for protocol in said.get("protocol", []):
            layout.check_protocol(protocol)
        if version == 0 and not (tables and "protocol" in said):
            raise NotOursError("commit 0 does not say what table this is")
        info: Mapping[str, Any] = next(iter(said.get("commitInfo", [])), {})
        mark = info.get(FEATURE)
        if mark is None and layout.ours_alone:
            raise NotOursError(f"commit {version} was written by a foreign writer ({info.get('engineInfo') or info.get('operation') or 'unknown'})")
        change = Change(
            operation=text(info.get("operation", "")),
            added=[file_of(layout, add) for add in said.get("add", [])],
            removed=[retired_of(layout, remove) for remove in said.get("remove", [])],
            data_change=any(action["dataChange"] for kind in ("add", "remove") for action in said.get(kind, [])),
            txns={text(txn["appId"]): whole(txn["version"]) for txn in said.get("txn", [])},
            vacuumed_ms=None if mark is None or mark["vacuumed_ms"] is None else whole(mark["vacuumed_ms"]),
            anew=mark is not None and mark["anew"] is True,
        )
        return Commit(version, "" if mark is None else text(mark["commit"]), change, tables[-1] if tables else None)


def _said(version: int, body: bytes) -> dict[str, list[Any]]:
    if not body.strip(b"\0\n "):
        raise NotOursError(f"commit {version} is empty (a crash or a copy tore it)")
    said: dict[str, list[Any]] = {}
    try:
        for line in body.splitlines():
            for kind, value in (orjson.loads(line) if line.strip() else {}).items():
                said.setdefault(kind, []).append(value)
    except orjson.JSONDecodeError as error:
        raise NotOursError(f"commit {version} is torn ({error})") from error
    return said

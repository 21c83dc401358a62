"""Sound logs for the tests of verify and repair, and ways to break them. Warehouses are given by path."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import orjson
import pyarrow as pa
import pyarrow.parquet as pq

from store import Event, open_store
from store.delta.actions import Segment
from store.delta.log import log_path
from store.delta.part import sha256
from store.delta.segment_files import conform
from store.delta.verifying.log_check import check_log
from store.storage.local_objects import LocalObjects
from store.tables.publishing import digest_of

HOUR_S = 3_600


def objects(warehouse: Path) -> LocalObjects:
    return LocalObjects(warehouse / "events")


def fill(warehouse: Path, commits: int, compact: bool = False, checkpoint: bool = False) -> Path:
    """Events of five streams, one a commit."""
    with open_store(str(warehouse), create=True) as store:
        for number in range(commits):
            store.append(f"s-{number % 5}", [Event("Happened" if number % 2 else "Begun", {"number": number}, metadata={"by": "test"})])
        if compact:
            store.compact()
        if checkpoint:
            store.checkpoint()
    return warehouse


def live(warehouse: Path) -> list[Segment]:
    """By position."""
    return sorted(check_log(objects(warehouse)).live.values(), key=lambda s: (s.first, s.path))


def data_file(warehouse: Path, segment: Segment) -> Path:
    return warehouse / "events" / segment.path


def commit(warehouse: Path, version: int) -> Path:
    return warehouse / "events" / log_path(version)


def newest(warehouse: Path) -> int:
    return check_log(objects(warehouse)).version


def edit_commit(warehouse: Path, version: int, edit: Callable[[dict[str, Any]], None]) -> None:
    """Change the actions of a commit in place; each is given alone."""
    actions = [orjson.loads(line) for line in commit(warehouse, version).read_bytes().splitlines()]
    for action in actions:
        edit(action)
    commit(warehouse, version).write_bytes(b"".join(orjson.dumps(action) + b"\n" for action in actions if action))
    relink(warehouse)


def relink(warehouse: Path) -> None:
    """Have every commit name the bytes of the one before it, as somebody would who changes one and knows how."""
    before: bytes | None = None
    for version in range(newest(warehouse) + 1):
        if not commit(warehouse, version).exists():
            before = None
            continue
        first, *rest = commit(warehouse, version).read_bytes().splitlines()
        if b'"commitInfo"' not in first:
            return
        info = orjson.loads(first)
        if "previous" in info["commitInfo"]:
            info["commitInfo"]["previous"] = None if before is None else digest_of(before)
        before = b"".join(line + b"\n" for line in [orjson.dumps(info), *rest])
        commit(warehouse, version).write_bytes(before)


def edit_add(warehouse: Path, path: str, edit: Callable[[dict[str, Any], dict[str, Any]], None]) -> None:
    """Change the `add` of a file and its statistics, in the commit that adds it."""

    def change(action: dict[str, Any]) -> None:
        if (add := action.get("add")) and add["path"].replace("%3D", "=") == path:
            stats = orjson.loads(add["stats"])
            edit(add, stats)
            add["stats"] = orjson.dumps(stats).decode()

    for version in range(newest(warehouse) + 1):
        edit_commit(warehouse, version, change)


def rewrite(warehouse: Path, segment: Segment, change: Callable[[pa.Table], pa.Table], **options: Any) -> None:
    """Put other rows into a live file. The log is told the new size, so that only the rows are wrong."""
    path = data_file(warehouse, segment)
    events = change(conform(pq.read_table(pa.BufferReader(path.read_bytes()))))
    pq.write_table(events, path, **({"compression": "zstd", "row_group_size": 8, "store_schema": False} | options))
    told = {"size": path.stat().st_size, "tags": {"alluvium.sha256": sha256(path.read_bytes())}}
    edit_add(warehouse, segment.path, lambda add, stats: add.update(told))


def with_values(events: pa.Table, column: str, values: dict[int, Any]) -> pa.Table:
    """Other values in some rows."""
    changed = [values.get(row, value) for row, value in enumerate(events[column].to_pylist())]
    return events.set_column(events.column_names.index(column), events.schema.field(column), pa.array(changed, events.schema.field(column).type))


def swapped(events: pa.Table, column: str, one: int, other: int) -> pa.Table:
    values = events[column].to_pylist()
    return with_values(events, column, {one: values[other], other: values[one]})


def aged(path: Path, seconds: float = 2 * HOUR_S) -> Path:
    then = path.stat().st_mtime - seconds
    os.utime(path, (then, then))
    return path


def contents(folder: Path) -> dict[str, bytes]:
    """Every file below it."""
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}

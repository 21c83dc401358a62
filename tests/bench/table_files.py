"""What lies on disk, counted from outside: by deltalake and by the file system."""

from __future__ import annotations

import os
from pathlib import Path
from typing import NamedTuple

import pyarrow as pa
import pyarrow.compute as pc
from deltalake import DeltaTable
from deltalake.exceptions import DeltaError

LANDING_ROWS = 1_000
"""A file with fewer rows counts as small."""


class LiveFiles(NamedTuple):
    """The files that the newest commit names."""

    paths: list[str]
    rows: int
    size_bytes: int
    small: int


class OnDisk(NamedTuple):
    """Everything under the table. `checkpoint_bytes`: of the newest checkpoint."""

    inodes: int
    log_files: int
    checkpoint_bytes: int


def live_files(warehouse: Path) -> LiveFiles:
    table = _opened(warehouse / "events")
    adds = pa.table(table.get_add_actions(flatten=True))
    small = pc.sum(pc.less(adds["num_records"], LANDING_ROWS)).as_py() or 0
    return LiveFiles(table.file_uris(), pc.sum(adds["num_records"]).as_py() or 0, pc.sum(adds["size_bytes"]).as_py() or 0, small)


def on_disk(warehouse: Path) -> OnDisk:
    """Files come and go meanwhile: what is gone when it is looked at does not count."""
    log = warehouse / "events" / "_delta_log"
    names = os.listdir(log)
    newest = max((name.split(".")[0] for name in names if ".checkpoint" in name), default=None)
    checkpoints = [log / name for name in names if newest and name.startswith(f"{newest}.checkpoint")]
    inodes = sum(1 + len(files) for _, _, files in os.walk(warehouse / "events"))
    return OnDisk(inodes, sum(name.endswith(".json") for name in names), sum(_size(file) for file in checkpoints))


def _size(file: Path) -> int:
    try:
        return file.stat().st_size
    except FileNotFoundError:
        return 0


def _opened(table: Path, tries: int = 5) -> DeltaTable:
    """deltalake lists, then reads: log files that a clean-up takes in between make it fail, and it must look again."""
    for left in reversed(range(tries)):
        try:
            return DeltaTable(str(table))
        except DeltaError:
            if not left:
                raise
    raise AssertionError("unreachable")

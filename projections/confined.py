"""Refuses a read model that leads outside its own directory: deltalake opens whatever a log names, and follows links."""

from __future__ import annotations

import os
import re
from contextlib import suppress
from pathlib import Path
from typing import Final

import pyarrow as pa
from deltalake import DeltaTable

from projections.errors import ReadModelRefusedError

_OURS: Final = re.compile(r"[A-Za-z0-9_-][A-Za-z0-9._-]*\.parquet").fullmatch
_REMEDY: Final = "it is not as we wrote it: remove the table and rebuild it"


def refuse_links(uri: str, root: Path) -> None:
    """ReadModelRefusedError if the table's directory or its log holds a symbolic link."""
    for folder in (root, root / "_delta_log"):
        with suppress(FileNotFoundError, NotADirectoryError), os.scandir(folder) as entries:
            for entry in entries:
                if entry.is_symlink():
                    raise ReadModelRefusedError(uri, f"{os.path.relpath(entry.path, root)} is a symbolic link, which may lead anywhere", _REMEDY)


def refuse_files_elsewhere(uri: str, table: DeltaTable) -> None:
    """ReadModelRefusedError if a live file lies anywhere but in the table's directory."""
    for path in pa.table(table.get_add_actions(flatten=True))["path"].to_pylist():
        check_own(uri, path)


def check_own(uri: str, path: str) -> None:
    """ReadModelRefusedError unless a path of the log is a plain file name, as deltalake gives to a table without partitions."""
    if not _OURS(path):
        raise ReadModelRefusedError(uri, f"its log names a file that is not one of its own: {path!r}", _REMEDY)

"""Makes deltalake's commits to a local table durable, and refuses a table whose last commit did not survive.

deltalake never calls fsync. After a power loss a commit file may be there and empty, which every Delta reader takes for a
commit that did nothing: its rows and its checkpoint would be gone without a word. On object stores a put is durable.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import unquote, urlsplit

from projections.confined import check_own
from projections.errors import ReadModelRefusedError


def local_path(uri: str) -> Path | None:
    """The table's directory; None on an object store."""
    if "://" not in uri:
        return Path(uri)
    parts = urlsplit(uri)
    return Path(unquote(parts.path)) if parts.scheme == "file" else None


def refuse_torn(uri: str) -> None:
    """ReadModelRefusedError if a commit of this table is empty."""
    root = local_path(uri)
    for commit in () if root is None else (root / "_delta_log").glob("*.json"):
        if commit.stat().st_size == 0:
            raise _torn(uri, f"the commit {commit.name} is empty: a power loss tore it", commit)


def sync_created(uri: str) -> None:
    """Make a new table durable: its first commit, and every directory from it up to the warehouse's parent."""
    root = local_path(uri)
    if root is not None:
        sync_commits(uri, -1, 0)
        for directory in (root, *list(root.parents)[:4]):
            _sync(directory)


def sync_commits(uri: str, after: int, until: int) -> None:
    """Make the commits after one Delta version, up to another, durable with all they name. Data first, then the log."""
    root = local_path(uri)
    if root is None:
        return
    named = (root / "_delta_log" / f"{version:020d}.json" for version in range(after + 1, until + 1))
    commits = [commit for commit in named if commit.exists()]  # one cleaned away lies below a checkpoint
    for commit in commits:
        for path, size_bytes in _added(commit):
            check_own(uri, path)
            if not _is_whole(root / path, size_bytes):
                raise _torn(uri, f"{path}, which {commit.name} adds, is torn", commit)
            _sync(root / path)
    _sync(root)
    for commit in commits:
        _sync(commit)
    _sync(root / "_delta_log")


def sync_checkpoint(uri: str) -> None:
    """Make the checkpoints of the Delta log durable, before anything relies on them."""
    root = local_path(uri)
    if root is not None:
        for path in (*(root / "_delta_log").glob("*.checkpoint*.parquet"), root / "_delta_log" / "_last_checkpoint", root / "_delta_log"):
            _sync(path)


def _added(commit: Path) -> Iterator[tuple[str, int]]:
    for line in commit.read_bytes().splitlines():
        action = json.loads(line)
        if "add" in action:
            yield action["add"]["path"], action["add"]["size"]


def _is_whole(file: Path, size_bytes: int) -> bool:
    return file.exists() and file.stat().st_size == size_bytes


def _sync(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _torn(uri: str, problem: str, commit: Path) -> ReadModelRefusedError:
    # Nobody was told of a commit that is torn, for that is said only after fsync: its batch may be repeated.
    return ReadModelRefusedError(uri, problem, f"if it is the last commit, remove {commit} and run again; else remove the table and rebuild it")

"""Putting other files in the place of live ones, or taking them away: if one of them has gone meanwhile, nothing happens."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import NamedTuple

from store.storage.objects import Objects
from store.tables.commit import Change, Commit
from store.tables.files import File, Retired
from store.tables.publishing import Outcome
from store.tables.table_log import TableLog


class Replacement(NamedTuple):
    """`operation`: in Delta's words. `data_change`: False if the rows stay the same."""

    removed: Sequence[File]
    added: Sequence[File]
    operation: str
    data_change: bool


def replace(objects: Objects, log: TableLog, replacement: Replacement, vacuumed: int) -> int | None:
    """The Delta version of the commit. None: another was first, so begin anew from the newest state.

    `vacuumed`: that of the log before the added files were written; if a vacuum began since, it may have taken them.
    """

    def decide() -> Change | None:
        live = {file.path for file in log.files()}
        if log.vacuumed != vacuumed or not all(file.path in live for file in replacement.removed):
            return None
        now_ms = time.time_ns() // 1_000_000
        return Change(
            operation=replacement.operation,
            added=replacement.added,
            removed=[Retired(file.path, now_ms, file.size_bytes) for file in replacement.removed],
            data_change=replacement.data_change,
        )

    commit = log.amend(decide)
    if commit is Outcome.THEIRS:                   # else a put of ours may have landed, or may yet: a vacuum will know
        objects.delete([file.path for file in replacement.added])
    return commit.version if isinstance(commit, Commit) else None

"""Log clean-up of a table: commits and checkpoints that a newer checkpoint has summed up are removed once they are old."""

from __future__ import annotations

import time
from typing import Final

from store.observer import Cleaned
from store.storage.objects import Objects
from store.tables.checkpoint_file import hinted, summed_up
from store.tables.table_log import TableLog

OLD_S: Final = 600.0
"""Who sleeps for less than this finds every commit that it missed; see `ASLEEP_S` in the log."""


def clean(objects: Objects, log: TableLog, now_ms: int, dry_run: bool) -> Cleaned:
    """Remove what lies below the newest durable checkpoint and is older than OLD_S."""
    began = time.monotonic()
    newest = hinted(objects)
    readable = newest is not None and log.read_checkpoint(newest) is not None      # never rely on one that cannot be read
    needless = summed_up(objects, newest, int(OLD_S * 1000), now_ms) if newest is not None and readable else []
    if not dry_run:
        objects.delete([entry.path for entry in needless])
    return Cleaned(len(needless), sum(entry.size_bytes for entry in needless), time.monotonic() - began, log.layout.name)

"""Log clean-up: commits and checkpoints that a newer checkpoint has summed up are removed once they are old."""

from __future__ import annotations

import time
from typing import Final

from store.delta import checkpoint
from store.observer import Cleaned
from store.storage.objects import Objects
from store.tables.checkpoint_file import summed_up

YOUNGEST_S: Final = 600.0
"""No younger log file goes. Who sleeps for less than this finds every commit that it missed; see `ASLEEP_S` in the log."""


def clean(objects: Objects, older_than_s: float, now_ms: int, dry_run: bool) -> Cleaned:
    """Remove what lies below the newest durable checkpoint and is older than that. ValueError: `older_than_s` < YOUNGEST_S."""
    if older_than_s < YOUNGEST_S:
        raise ValueError(f"log files must be kept {YOUNGEST_S:.0f} s at least, for writers that slept meanwhile: {older_than_s:.0f} s is too short")
    began = time.monotonic()
    newest = checkpoint.hinted(objects)
    readable = newest is not None and checkpoint.read_version(objects, newest) is not None     # never rely on one that cannot be read
    needless = summed_up(objects, newest, int(older_than_s * 1000), now_ms) if newest is not None and readable else []
    if not dry_run:
        objects.delete([entry.path for entry in needless])
    return Cleaned(len(needless), sum(entry.size_bytes for entry in needless), time.monotonic() - began)

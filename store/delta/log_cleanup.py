"""Log clean-up: commits and checkpoints that a newer checkpoint has summed up are removed once they are old."""

from __future__ import annotations

import re
import time
from typing import Final

from store.delta import checkpoint
from store.observer import Cleaned
from store.storage.objects import Entry, Objects

YOUNGEST_S: Final = 600.0
"""No younger log file goes. Who sleeps for less than this finds every commit that it missed; see `ASLEEP_S` in the log."""
_NAME: Final = re.compile(r"_delta_log/([0-9]{20})\.(json|checkpoint\.parquet)").fullmatch


def clean(objects: Objects, older_than_s: float, now_ms: int, dry_run: bool) -> Cleaned:
    """Remove what lies below the newest durable checkpoint and is older than that. ValueError: `older_than_s` < YOUNGEST_S."""
    if older_than_s < YOUNGEST_S:
        raise ValueError(f"log files must be kept {YOUNGEST_S:.0f} s at least, for writers that slept meanwhile: {older_than_s:.0f} s is too short")
    began = time.monotonic()
    needless = _needless(objects, int(older_than_s * 1000), now_ms)
    if not dry_run:
        objects.delete([entry.path for entry in needless])
    return Cleaned(len(needless), sum(entry.size_bytes for entry in needless), time.monotonic() - began)


def _needless(objects: Objects, age_ms: int, now_ms: int) -> list[Entry]:
    newest = checkpoint.hinted(objects)
    if newest is None or checkpoint.read_version(objects, newest) is None:   # never rely on one that cannot be read
        return []
    entries = list(objects.list("_delta_log"))
    # By the storage's clock: ours may be an hour ahead, and then everything would look old.
    limit_ms = min(now_ms, max((entry.modified_ms for entry in entries), default=0)) - age_ms
    return [e for e in entries if (name := _NAME(e.path)) and int(name[1]) < newest and e.modified_ms <= limit_ms]

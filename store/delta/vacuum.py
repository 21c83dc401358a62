"""Vacuum: files that nobody needs any more are removed: replaced ones after a while, and those that no commit ever named.

Ours, because the table's feature keeps other writers out, and because only a commit makes it safe. A writer writes new
files after every race that it lost, and names only files written since it saw the newest commit. So what was listed
before a commit of ours, and is not live at it, can never be named by anybody: the commit took the version for which it
was written.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Final

from store.delta.actions import checked_path
from store.delta.amendment import amend
from store.delta.commits import Commit, vacuuming
from store.delta.log import Log
from store.delta.table import NotOursError
from store.observer import Vacuumed
from store.storage.objects import Entry, Objects

LEFT_S: Final = 3600
"""No put takes so long, so a temporary file of this age belongs to one that was killed. Asked for more it goes sooner: a put writes it again."""
CHUNK: Final = 500
"""Files removed in one go; between two of them others get the disk."""


def expired(log: Log, retention_s: float, kept_files: int, now_ms: int) -> int | None:
    """Up to which moment (ms) replaced files may go: they are old enough, or too many. None: not one of them."""
    times = sorted(retired.retired_ms for retired in log.retired())
    limit = max(now_ms - int(retention_s * 1000), times[-kept_files - 1] if len(times) > kept_files else 0)
    return limit if times and times[0] <= limit else None


def vacuum(objects: Objects, log: Log, retired_until_ms: int, retention_s: float, now_ms: int, dry_run: bool) -> Vacuumed:
    """Remove the files that were replaced by then, older ones that no commit names, and what killed puts left half written.

    The age of a file that no commit names is no matter of safety: it leaves time to look at it, should a commit be torn.
    """
    began = time.monotonic()
    listed = [entry for entry in objects.list("") if _is_ours(entry.path)]
    listed += [entry for entry in objects.leftovers() if entry.modified_ms <= now_ms - int(min(LEFT_S, retention_s) * 1000)]
    if not dry_run and not begin(objects, log):
        return Vacuumed(0, 0, 0.0)
    with log.lock:
        needed = {segment.path for segment in log.segments()} | {r.path for r in log.retired() if r.retired_ms > retired_until_ms}
        retired = {r.path for r in log.retired()}
    old_ms = now_ms - int(retention_s * 1000)
    needless = [e for e in listed if e.path not in needed and (e.path in retired or e.modified_ms <= old_ms)]
    return _finish(objects, log, needless, retired_until_ms, began, dry_run)


def expire(objects: Objects, log: Log, retired_until_ms: int) -> Vacuumed:
    """Remove the files that were replaced by then. Cheap: nothing is listed."""
    began = time.monotonic()
    gone = [Entry(r.path, r.size_bytes, r.retired_ms) for r in log.retired() if r.retired_ms <= retired_until_ms]
    return _finish(objects, log, gone, retired_until_ms, began, dry_run=False)


def begin(objects: Objects, log: Log) -> bool:
    """Commit that a vacuum begins: every file listed before, and not named by a commit by now, never will be.

    False: this process slept meanwhile, so begin anew.
    """
    return _mark(objects, log, None)


def _finish(objects: Objects, log: Log, needless: Sequence[Entry], retired_until_ms: int, began: float, dry_run: bool) -> Vacuumed:
    """First the files, then the commit that forgets them: after a crash between the two they are removed once more."""
    if not dry_run:
        for start in range(0, len(needless), CHUNK):
            objects.delete([entry.path for entry in needless[start : start + CHUNK]])
        _mark(objects, log, retired_until_ms)
    return Vacuumed(len(needless), sum(entry.size_bytes for entry in needless), time.monotonic() - began)


def _mark(objects: Objects, log: Log, retired_until_ms: int | None) -> bool:
    """Commit the beginning (None) or the end of a vacuum."""

    def decide(commit_id: str, version: int) -> tuple[Commit, bytes]:
        head, recorded_at = log.head, log.recorded_at
        body = vacuuming(commit_id, recorded_at, head, time.time_ns() // 1_000_000, retired_until_ms)
        return Commit(version, commit_id, recorded_at, head, vacuum=retired_until_ms is None, vacuumed_ms=retired_until_ms), body

    return isinstance(amend(objects, log, decide), Commit)


def _is_ours(path: str) -> bool:
    try:
        return checked_path(path) == path
    except NotOursError:
        return False

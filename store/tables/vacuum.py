"""Vacuum of a table: files that nobody needs any more are removed: replaced ones after a while, and those that no commit ever named.

Ours, because only a commit makes it safe. A writer names only files written since it saw the newest commit at which a
vacuum began (`TableLog.vacuumed`), else it writes them again. So what was listed before such a commit, and is not live
at it, can never be named by anybody.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from itertools import chain
from typing import Final

from store.observer import Vacuumed
from store.storage.objects import Entry, Objects
from store.tables.commit import VACUUM_END, VACUUM_START, Change
from store.tables.files import checked_path
from store.tables.layout import Layout
from store.tables.quarantine import QUARANTINE
from store.tables.shape import NotOursError
from store.tables.table_log import TableLog

LEFT_S: Final = 3600.0
"""No put takes so long, so a temporary file of this age belongs to one that was killed. Asked for more it goes sooner: a put writes it again."""


def expire(objects: Objects, log: TableLog, retention_s: float, kept_files: int, now_ms: int) -> Vacuumed:
    """Remove the files that were replaced longer ago than that, and the oldest of more than `kept_files`.

    Cheap: nothing is listed, and nothing committed if there are none.
    """
    began = time.monotonic()
    times = sorted(retired.retired_ms for retired in log.retired())
    until_ms = max(now_ms - int(retention_s * 1000), times[-kept_files - 1] if len(times) > kept_files else 0)
    gone = [Entry(r.path, r.size_bytes, r.retired_ms) for r in log.retired() if r.retired_ms <= until_ms]
    return _remove(objects, log, gone, until_ms, began) if gone else _told(log, gone, began)


def vacuum(objects: Objects, log: TableLog, retention_s: float, unnamed_s: float, now_ms: int, dry_run: bool) -> Vacuumed:
    """The same, and what is older than `unnamed_s`: files that nobody names, copies in the quarantine; and what killed puts left half written.

    What is staged beside the table is named by its marks, and stays.
    """
    began = time.monotonic()
    until_ms, old_ms = now_ms - int(retention_s * 1000), now_ms - int(unnamed_s * 1000)
    listed = [entry for entry in objects.list("") if _is_ours(log.layout, entry.path)]
    left = [entry for entry in objects.leftovers() if entry.modified_ms <= now_ms - int(min(LEFT_S, unnamed_s) * 1000)]
    left += [entry for entry in objects.list(QUARANTINE) if entry.modified_ms <= old_ms]
    if log.version >= 0 and not dry_run:
        log.amend(lambda: Change(operation=VACUUM_START, data_change=False))
    with log.lock:
        staged = (file for files in log.staged().values() for file in files)
        live, retired = {file.path for file in chain(log.files(), staged)}, {r.path: r.retired_ms for r in log.retired()}
    needless = [e for e in listed if e.path not in live and (retired[e.path] <= until_ms if e.path in retired else e.modified_ms <= old_ms)]
    if dry_run or log.version < 0:
        return _told(log, needless + left, began)
    return _remove(objects, log, needless + left, until_ms, began)


def _remove(objects: Objects, log: TableLog, needless: Sequence[Entry], until_ms: int, began: float) -> Vacuumed:
    """First the files, then the commit that forgets them: after a crash between the two they are removed once more."""
    objects.delete([entry.path for entry in needless])
    log.amend(lambda: Change(operation=VACUUM_END, data_change=False, vacuumed_ms=until_ms))
    return _told(log, needless, began)


def _told(log: TableLog, needless: Sequence[Entry], began: float) -> Vacuumed:
    return Vacuumed(len(needless), sum(entry.size_bytes for entry in needless), time.monotonic() - began, log.layout.name)


def _is_ours(layout: Layout, path: str) -> bool:
    try:
        return checked_path(layout, path) == path
    except NotOursError:
        return False

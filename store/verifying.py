"""Verifying a warehouse's log, and mending what a crash left, from outside of any store that is open."""

from __future__ import annotations

from contextlib import closing

from store.delta.audit import contents_check
from store.delta.audit import repair as mending
from store.delta.audit import verify as audit
from store.delta.audit.findings import Verified
from store.delta.audit.repair import Repaired
from store.storage.places import join, objects_at


def verify(warehouse_uri: str, progress: contents_check.Progress = lambda done, total: None) -> Verified:
    """Read the whole log and every value in it, and change nothing. Writers and compactors may go on meanwhile.

    `progress` is told (events done, all events). What is found is damage or notes, see `Finding`; damage comes first. Of damage `repair`
    mends what a crash can leave. TableRefusedError: there is no log at all. StorageError: the storage does not answer.
    """
    with closing(objects_at(join(warehouse_uri, "events"))) as objects:
        return audit.verify(objects, progress)


def repair(warehouse_uri: str, dry_run: bool = False, progress: contents_check.Progress = lambda done, total: None) -> Repaired:
    """Verify the log and move aside what a crash left: a torn last commit, torn checkpoints, files that no commit names.

    Nothing is destroyed: files go to `_quarantine/` of the table; with `dry_run` they stay. Where the last commit is torn, stop the writers first.
    TableRefusedError: there is damage that a crash cannot make, or no log, or another repair is at work; nothing was changed.
    """
    with closing(objects_at(join(warehouse_uri, "events"))) as objects:
        return mending.repair(objects, dry_run, progress)

"""Verifying a warehouse's log from outside of any store that is open."""

from __future__ import annotations

from contextlib import closing

from store.delta.audit import contents_check
from store.delta.audit import verify as audit
from store.delta.audit.findings import Verified
from store.storage.places import join, objects_at


def verify(warehouse_uri: str, progress: contents_check.Progress = lambda done, total: None) -> Verified:
    """Read the whole log and every value in it, and change nothing. Writers and compactors may go on meanwhile.

    `progress` is told (events done, all events). What is found is damage or notes, see `Finding`; damage comes first. Of damage `python -m
    store repair` mends what a crash can leave. TableRefusedError: there is no log at all. StorageError: the storage does not answer.
    """
    with closing(objects_at(join(warehouse_uri, "events"))) as objects:
        return audit.verify(objects, progress)

"""Backups: a copy of the log in another place, brought up to date while writers go on, and the way back."""

from __future__ import annotations

import sys
from contextlib import closing
from dataclasses import replace
from typing import Final

from store.deeds import RESTORED, UNKNOWN, Deed, check_named
from store.delta.copying.backup import Copied, copy
from store.delta.copying.copier import Progress
from store.event_store import AsOf
from store.outside_deeds import unrecorded
from store.storage.places import join, objects_at

STEP_BYTES: Final = 256 << 20
"""A backup commits after so many bytes, so that a killed one need not begin anew."""


def backup(warehouse_uri: str, backup_uri: str, until: AsOf | None = None, progress: Progress = lambda done, total: None) -> Copied:
    """Bring the backup of a warehouse's log up to a position, or up to what an aware datetime means; None: to its head now.

    A place without a log becomes a backup; from then on only files that are new since are copied. Writers, compactors and
    clean-up may go on. What is in the backup is a warehouse of its own at every moment, durably: killed or failed, it stays
    at the position that it had reached, and the next call goes on from there. Every file is looked through before it counts.

    Only events are copied: snapshots and read models are made again from them. Do not append to a backup.

    InvalidEventError: `until` is beyond the head or no place. TableRefusedError: the backup lies in the warehouse, is that
    of another log, or beyond `until`; or a file of the log is damaged, and it says which. StorageError: mend the storage;
    then call again. CrossLogError: the warehouse was split into several logs.
    """
    return _copied(warehouse_uri, backup_uri, until, progress, fresh=False, step_bytes=STEP_BYTES)


def restore(
    backup_uri: str,
    warehouse_uri: str,
    until: AsOf | None = None,
    progress: Progress = lambda done, total: None,
    *,
    by: str = UNKNOWN,
    why: str = UNKNOWN,
) -> Copied:
    """Make the log of a warehouse from a backup, up to a position or an aware datetime; None: all of it.

    There must be no log yet. It appears whole, in one commit that is made last: killed or failed, there is none, only files
    that nobody names; empty the place, or leave them to vacuum, and call again. Appends go on behind the position, and
    repeats of what is there are recognised. Errors as for `backup`.

    Then the first event that follows says who did it: the deed `Restored` in `$audit`. Where it cannot be appended, the log is restored all the
    same, and `unrecorded` says why it could not.
    """
    check_named(by, why)
    copied = _copied(backup_uri, warehouse_uri, until, progress, fresh=True, step_bytes=sys.maxsize)
    deed = Deed(RESTORED, by, why, {"from": backup_uri, "position": copied.position})
    return replace(copied, unrecorded=unrecorded(warehouse_uri, deed))


def _copied(source_uri: str, destination_uri: str, until: AsOf | None, progress: Progress, fresh: bool, step_bytes: int) -> Copied:
    with closing(objects_at(join(source_uri, "events"))) as source, closing(objects_at(join(destination_uri, "events"))) as destination:
        return copy(source, destination, until, fresh, step_bytes, progress)

"""Copying a log to another place, up to a position, while writers go on: a backup, and the way back from one."""

from __future__ import annotations

import time
from dataclasses import dataclass
from datetime import datetime

from store.delta import reader
from store.delta.copying.copier import Copier, Progress
from store.delta.copying.lineage import check_apart, check_lineage, place_at
from store.delta.log import Log, Nobody
from store.delta.segment_files import SegmentFiles
from store.draft import instant
from store.errors import CrossLogError, InvalidEventError, TableRefusedError
from store.event_store import AsOf
from store.storage.objects import Objects
from store.times import moment


@dataclass(frozen=True, slots=True)
class Copied:
    """What a copy holds, and what was done for it. `recorded_at`: of the event at `position`; None at position 0.

    `unrecorded`: why the deed of a restore could not be appended to the log; None: it was, or there was none.
    """

    position: int
    recorded_at: datetime | None
    files_copied: int
    files_kept: int
    files_removed: int
    copied_bytes: int
    seconds: float
    unrecorded: str | None = None

    @property
    def bytes_per_s(self) -> float:
        return self.copied_bytes / self.seconds


def copy(source: Objects, destination: Objects, until: AsOf | None, fresh: bool, step_bytes: int, progress: Progress) -> Copied:
    """Make the log at the destination equal to the one at the source up to `until` (None: its head now).

    `fresh`: there must be no log yet. Each commit of the copy makes it a whole state of the log, the source's up to some
    position; one is made for every `step_bytes`.
    """
    began = time.monotonic()
    check_apart(source, destination)
    log = Log(source, Nobody())
    if log.sealed:
        remedy = "copy the whole place by the means of its storage, the events folder and logs/ first"
        raise CrossLogError("a backup", log.sealed, remedy)
    position = _position(source, log, until)
    _check_destination(source, log, destination, position, fresh)
    work = Copier(source, destination, position, step_bytes, progress)
    work.run()
    copied = Log(destination, Nobody())
    check_lineage(source, Log(source, Nobody()), destination, copied)
    return Copied(
        position=copied.head,
        recorded_at=moment(place_at(destination, copied, copied.head).recorded_at) if copied.head else None,
        files_copied=work.files_copied,
        files_kept=len(copied.segments()) - work.files_copied,
        files_removed=work.files_removed,
        copied_bytes=work.copied_bytes,
        seconds=time.monotonic() - began,
    )


def _position(source: Objects, log: Log, until: AsOf | None) -> int:
    match until:
        case None:
            return log.head
        case datetime():
            return reader.position_at(SegmentFiles(source), log.segments(), instant("until", until))
        case bool():
            pass
        case int() if until > log.head:
            problem, remedy = f"is beyond the head of {source.uri}", f"give a position up to {log.head:,}, or none for all of it"
            raise InvalidEventError("until", until, problem, remedy)
        case int() if until >= 0:
            return until
    raise InvalidEventError("until", until, "is no place in the log", "give a position from 0, or a datetime with a time zone")


def _check_destination(source: Objects, log: Log, destination: Objects, position: int, fresh: bool) -> None:
    copied = Log(destination, Nobody(), may_be_absent=True)
    if copied.version < 0:
        return
    if fresh:
        raise TableRefusedError(destination.uri, f"there is a log already, at position {copied.head:,}", "restore into an empty place")
    check_lineage(source, log, destination, copied)
    if copied.head > position:
        problem = f"it is at position {copied.head:,}, beyond {position:,}, and a backup never goes back"
        raise TableRefusedError(destination.uri, problem, "name an empty place for an older state")

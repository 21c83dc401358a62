"""Verifying a warehouse's logs, and mending what a crash left, from outside of any store that is open."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from dataclasses import replace
from typing import Final, TypeVar

from store.deeds import REPAIRED, UNKNOWN, Deed, check_named
from store.delta.verifying import contents_check
from store.delta.verifying import repair as mending
from store.delta.verifying import verify as verifying
from store.delta.verifying.order_check import Order
from store.delta.verifying.repair import Repaired
from store.finding import Finding, Verified
from store.logs.log_name import WHOLE, LogName
from store.outside_deeds import unrecorded
from store.storage.objects import Objects
from store.storage.places import objects_at

Looked = TypeVar("Looked", Verified, Repaired)

MOVED_TOLD: Final = 1_000
MENDED_TOLD: Final = 20
"""Of the files that were moved, and of the findings, so many are named in a deed."""


def verify(warehouse_uri: str, progress: contents_check.Progress = lambda done, total: None) -> Verified:
    """Read the whole log and every value in it, and change nothing. Writers and compactors may go on meanwhile.

    `progress` is told (events done, all events), log by log where there are several. What is found is damage or notes, see `Finding`; damage
    comes first. Of damage `repair` mends what a crash can leave. TableRefusedError: there is no log at all. StorageError: the storage does not
    answer.
    """
    looked = dict(_each_log(warehouse_uri, lambda objects, order: verifying.verify(objects, progress, order)))
    findings = sorted((found for name, one in looked.items() for found in _named(name, one.findings)), key=lambda found: not found.damage)
    first, *_ = looked.values()
    sums = {name: sum(getattr(one, name) for one in looked.values()) for name in ("version", "files", "events", "data_bytes", "seconds")}
    return replace(first, **sums, findings=findings)


def repair(
    warehouse_uri: str,
    dry_run: bool = False,
    progress: contents_check.Progress = lambda done, total: None,
    *,
    by: str = UNKNOWN,
    why: str = UNKNOWN,
) -> Repaired:
    """Verify the log and move aside what a crash left: a torn last commit, torn checkpoints, files that no commit names.

    Nothing is destroyed: files go to `_quarantine/` of their table; with `dry_run` they stay. Where the last commit is torn, stop the writers
    first. Of several logs one is mended after the other; `folder` is then that of the last one that anything was moved in.
    TableRefusedError: there is damage that a crash cannot make, or no log, or another repair is at work; nothing of that log was changed.

    What was moved is said in `$audit` by the deed `Repaired`. Where that cannot be appended to, `unrecorded` says why.
    """
    check_named(by, why)
    looked = dict(_each_log(warehouse_uri, lambda objects, order: mending.repair(objects, dry_run, progress, order)))
    first, *_ = looked.values()
    moved = [path if name == WHOLE else f"logs/{name}/events/{path}" for name, one in looked.items() for path in one.moved]
    done = replace(
        first,
        moved=moved,
        folder=next((one.folder for one in reversed(looked.values()) if one.folder), None),
        mended=[found for name, one in looked.items() for found in _named(name, one.mended)],
        left=[found for name, one in looked.items() for found in _named(name, one.left)],
        seconds=sum(one.seconds for one in looked.values()),
    )
    return _told(warehouse_uri, by, why, done)


def _told(warehouse_uri: str, by: str, why: str, done: Repaired) -> Repaired:
    """After it is recorded, if anything was moved."""
    if done.dry_run or not done.moved:
        return done
    what = {"files": len(done.moved), "moved": done.moved[:MOVED_TOLD], "to": done.folder, "mended": [str(one) for one in done.mended[:MENDED_TOLD]]}
    return replace(done, unrecorded=unrecorded(warehouse_uri, Deed(REPAIRED, by, why, what)))


def _each_log(
    warehouse_uri: str, look: Callable[[Objects, Order], Looked], name: LogName = WHOLE, order: Order | None = None
) -> Iterator[tuple[LogName, Looked]]:
    """A log, then those that it was split into: each goes on from what was seen before it."""
    order = order or Order()
    with closing(objects_at(name.uri(warehouse_uri))) as objects:
        looked = look(objects, order)
    yield name, looked
    for part in looked.logs:
        yield from _each_log(warehouse_uri, look, LogName.parse(part), order.parted())


def _named(log: LogName, findings: Sequence[Finding]) -> Iterator[Finding]:
    for finding in findings:
        yield finding if log == WHOLE else replace(finding, where=f"log {log}, {finding.where}")

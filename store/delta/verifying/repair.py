"""Repair: what a crash can leave is moved aside, so that the log opens again. Everything else is refused."""

from __future__ import annotations

import time
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from itertools import chain

from store.delta import vacuum
from store.delta.log import Log, Nobody
from store.delta.verifying.contents_check import Progress
from store.delta.verifying.log_check import check_log
from store.delta.verifying.order_check import Order
from store.delta.verifying.verify import verify
from store.delta.verifying.without import Without
from store.errors import TableRefusedError
from store.finding import Finding, Verified
from store.storage.objects import Objects
from store.tables.quarantine import claimed, move_aside, new_folder


@dataclass(frozen=True, slots=True)
class Repaired:
    """What was moved aside, or would be (`dry_run`), and what stays.

    `moved`: paths in the table; `folder`: where they lie now, under the same names, None if nothing was moved.
    `mended`: the findings that are no more; `left`: notes that ask for patience, not for repair.
    """

    moved: Sequence[str]
    folder: str | None
    mended: Sequence[Finding]
    left: Sequence[Finding]
    dry_run: bool
    seconds: float
    logs: Sequence[str] = ()
    """Those that go on where this one has ended."""
    unrecorded: str | None = None
    """Why the deed could not be appended to the log; None: it was, or nothing was moved."""


def repair(
    objects: Objects, dry_run: bool = False, progress: Progress = lambda done, total: None, order: Order | None = None
) -> Repaired:
    """Verify the log and move aside what a crash left: a torn last commit, torn checkpoints, files that no commit names.

    Nothing is destroyed: files go to `_quarantine/` of the table. A sound log is not touched. Files that nobody names go
    once they are an hour old; writers may go on meanwhile. Where the last commit is torn, stop the writers first.
    TableRefusedError: there is damage that a crash cannot make, or another repair is at work; nothing was changed.
    """
    began = time.monotonic()
    before = verify(objects, progress, order)
    _refuse_the_rest(objects, before)
    mended = [finding for finding in before.findings if finding.mendable]
    moved, folder = _superfluous(mended), None
    Log(Without(objects, moved), Nobody())  # refuses, unless the log is whole without them
    if moved and not dry_run:
        with claimed(objects):
            moved, folder = _move(objects, before)
    left = [finding for finding in before.findings if not finding.mendable]
    return Repaired(moved, folder, mended, left, dry_run, time.monotonic() - began, before.logs)


def _refuse_the_rest(objects: Objects, before: Verified) -> None:
    beyond = [finding for finding in before.damage if not finding.mendable]
    if beyond:
        others = f" (and {len(beyond) - 1:,} more findings)" if len(beyond) > 1 else ""
        problem = f"{beyond[0].where}: {beyond[0].problem}{others}"
        raise TableRefusedError(objects.uri, problem, f"no crash does that, so repair changes nothing: {beyond[0].remedy}")


def _move(objects: Objects, before: Verified) -> tuple[list[str], str]:
    """Move what is still superfluous now that no other repair can be at work: first what keeps the log from opening."""
    still = _superfluous(finding for finding in check_log(objects).findings if finding.mendable)
    damaged = [path for path in _superfluous(before.damage) if path in still]
    folder = new_folder()
    move_aside(objects, damaged, folder)
    orphans = _superfluous(before.notes)
    if orphans:
        named = _named_for_ever(objects)
        orphans = [path for path in orphans if path not in named]
        move_aside(objects, orphans, folder)
    Log(objects, Nobody())
    return [*damaged, *orphans], folder


def _named_for_ever(objects: Objects) -> Collection[str]:
    """Every file of before this call that a commit names or ever will.

    A writer that sleeps between its data file and its commit would still name the file if nobody had committed since.
    So make a commit: then it loses that race, and writes its events into a new file for the next one.
    """
    log = Log(objects, Nobody())
    while not vacuum.begin(objects, log):
        log.refresh()
    state = check_log(objects)
    return state.live.keys() | state.gone


def _superfluous(findings: Iterable[Finding]) -> list[str]:
    return list(dict.fromkeys(chain.from_iterable(finding.superfluous for finding in findings)))

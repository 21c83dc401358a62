"""Verifying a log: everything that can be known to be wrong with it, found at one state while writers go on."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from typing import Final

from store.delta.actions import checked_path
from store.delta.table import NotOursError
from store.delta.verifying.chain_check import check_chain
from store.delta.verifying.contents_check import Contents, Progress, VanishedError
from store.delta.verifying.log_check import check_log
from store.delta.verifying.log_state import LogState
from store.delta.verifying.order_check import Order
from store.finding import REPAIR, Finding, Verified
from store.storage.objects import Entry, Objects
from store.tables.quarantine import QUARANTINE

ORPHANED_MS: Final = 3_600_000
"""A file that nobody names is given up after this long: no writer takes an hour from its data file to its commit."""

_PATIENCE: Final = 20
"""States that are tried if files vanish under the reader one after the other."""
_OTHERS: Final = ("_delta_log/0", "_delta_log/_", "_heads/", f"{QUARANTINE}/")
"""What stands beside the data files."""


def verify(objects: Objects, progress: Progress = lambda done, total: None, order: Order | None = None) -> Verified:
    """Read the whole log and every value in it, and change nothing. Writers and compactors may go on meanwhile.

    `progress` is told (events done, all events). About as fast as the files can be decoded; memory is bounded by one
    range of positions and 24 bytes a stream. Findings are damage or notes, see `Finding`; damage comes first.
    `order`: what its streams go on from, if they began in another log.
    TableRefusedError: there is no log at all. StorageError: the storage does not answer.
    """
    began = time.monotonic()
    listed = _everything(objects)
    state = check_log(objects)                     # after the listing: what it does not name now was no live file then
    contents = Contents(objects, progress, order or Order())
    if not state.broken:
        state = _check_contents(objects, contents, state)
    findings = [*state.findings, *check_chain(objects), *contents.findings]
    if state.broken:
        findings.append(Finding("it is broken, so not all files and contents were checked", "the log", "mend it first", damage=False))
    else:
        findings += _unnamed(objects, listed, state)
    findings.sort(key=lambda finding: not finding.damage)
    segments = state.live.values()
    return Verified(
        state.version,
        len(segments),
        sum(s.rows for s in segments),
        sum(s.size_bytes for s in segments),
        time.monotonic() - began,
        findings,
        state.logs,
    )


def _check_contents(objects: Objects, contents: Contents, state: LogState) -> LogState:
    """The state with which the contents were checked to their end."""
    for _ in range(_PATIENCE):
        try:
            contents.check(state.live.values())
            return state
        except VanishedError as vanished:
            state = check_log(objects)
            if state.broken:
                return state
            for path in vanished.files.keys() & state.live.keys():
                contents.missing.add(path)
                contents.findings += vanished.files[path]
    busy = Finding("files are merged and removed faster than they are read", "contents", "keep replaced files longer, verify again", damage=False)
    contents.findings.append(busy)
    return state


def _unnamed(objects: Objects, listed: Sequence[Entry], state: LogState) -> Iterator[Finding]:
    """Files of a listing that the log does not name, neither as it was after the listing nor now."""
    files = [entry for entry in listed if entry.path not in state.live and entry.path not in state.gone and not entry.path.startswith(_OTHERS)]
    if not files:
        return
    newest, there = check_log(objects), {entry.path for entry in _everything(objects)}
    for entry in files:
        if entry.path in there and entry.path not in newest.live and entry.path not in newest.gone:
            yield _orphan(entry) if _is_ours(entry.path) else Finding("it is no file of the log", entry.path, "keep it elsewhere", damage=False)


def _everything(objects: Objects) -> list[Entry]:
    return [*objects.list(""), *objects.leftovers()]


def _is_ours(path: str) -> bool:
    try:
        return path.endswith(".tmp") or checked_path(path) == path
    except NotOursError:
        return False


def _orphan(entry: Entry) -> Finding:
    """A crash left it, or a writer is about to name it: only its age tells."""
    problem = "no commit names it: a crash left it, or a running writer has not come to its commit yet"
    if time.time_ns() // 1_000_000 - entry.modified_ms < ORPHANED_MS:
        return Finding(problem, entry.path, "leave it for an hour; then repair moves it aside", damage=False)
    return Finding(problem, entry.path, f"{REPAIR}, which moves it aside", damage=False, superfluous=(entry.path,))

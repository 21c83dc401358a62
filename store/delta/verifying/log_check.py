"""The log read by a doubter: every commit and checkpoint that is there, what is wrong with them, and where they lead."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Final, NamedTuple

import orjson
import pyarrow as pa

from store.delta import checkpoint
from store.delta.actions import Segment
from store.delta.commits import Commit, decode
from store.delta.log import log_path
from store.delta.table import NotOursError
from store.delta.verifying.log_state import LogState
from store.errors import TableRefusedError
from store.finding import REPAIR, RESTORE, Finding
from store.storage.objects import Objects

HINT: Final = "_delta_log/_last_checkpoint"
ROUNDED_US: Final = 999
"""Statistics round times up by this much at most."""
_TRIES: Final = 5
_MALFORMED: Final = (NotOursError, KeyError, TypeError, ValueError, AttributeError)
"""What reading well-formed JSON of a foreign shape can end in."""


class _Names(NamedTuple):
    """The versions of which `_delta_log` holds a commit, and those of which it holds a checkpoint, in order."""

    commits: Sequence[int]
    checkpoints: Sequence[int]


def check_log(objects: Objects) -> LogState:
    """The newest state, with all that is wrong with the log itself. TableRefusedError: there is no log at all.

    A writer may go on meanwhile, and a clean-up may take commits away: then it begins again at the newer checkpoint.
    """
    for _ in range(_TRIES):
        names = _names(objects)
        if not names.commits and not names.checkpoints:
            raise TableRefusedError(objects.uri, "there is no event log here", "give the path or URI of a warehouse")
        state = _read(objects, names)
        if not state.broken or _names(objects).checkpoints == names.checkpoints:
            break
    return state


def _names(objects: Objects) -> _Names:
    names = [entry.path.removeprefix("_delta_log/") for entry in objects.list("_delta_log")]
    versions = [(int(name[:20]), name[20:]) for name in names if name[:20].isdigit() and len(name) > 20]
    return _Names(
        sorted(version for version, kind in versions if kind == ".json"),
        sorted(version for version, kind in versions if kind == ".checkpoint.parquet"),
    )


def _read(objects: Objects, names: _Names) -> LogState:
    found = _check_hint(objects, names)
    state = LogState()
    for version in reversed(names.checkpoints):
        there = _at_checkpoint(objects, version, names)
        if isinstance(there, LogState):
            state = _compared(objects, there, names)
            break
        found.append(there)
    state.findings[:0] = found
    _follow(objects, state, names)
    if not state.broken:
        state.check_end()
    return state


# Checkpoints --------------------------------------------------------------------------------------------------


def _check_hint(objects: Objects, names: _Names) -> list[Finding]:
    """`_last_checkpoint` names a checkpoint that is there."""
    body = objects.get(HINT)
    if body is None:
        return []
    hinted = _hinted(body)
    if hinted is None:
        return [Finding("it is torn; an older checkpoint, or the commits, will do instead", HINT, REPAIR, superfluous=(HINT,))]
    if hinted not in names.checkpoints and objects.get(checkpoint.path_of(hinted)) is None:
        return [Finding(f"it names checkpoint {hinted}, which is not there", HINT, REPAIR, superfluous=(HINT,))]
    return []


def _hinted(body: bytes) -> int | None:
    try:
        return int(orjson.loads(body)["version"])
    except _MALFORMED:
        return None


def _at_checkpoint(objects: Objects, version: int, names: _Names) -> LogState | Finding:
    """What one checkpoint says; a finding if it says nothing that a reader could use."""
    try:
        told = checkpoint.read_version(objects, version)
        if told is None:
            return _useless(objects, version, "it is torn")
    except (*_MALFORMED, pa.ArrowException, OSError) as error:
        return _useless(objects, version, str(error))
    recorded_at = max((s.recorded_until for s in told.segments), default=0) - ROUNDED_US
    live, gone = {segment.path: segment for segment in told.segments}, {retired.path for retired in told.retired}
    return LogState(version, told.head, recorded_at, live, gone, logs=told.table.logs)


def _useless(objects: Objects, version: int, problem: str) -> Finding:
    """Readers that follow the hint would stumble over it: without both they find an older one, or the first commit."""
    path = checkpoint.path_of(version)
    hinted = _hinted(objects.get(HINT) or b"") == version
    return Finding(f"{problem}; an older one, or the commits, will do instead", path, REPAIR, superfluous=(path, HINT) if hinted else (path,))


def _compared(objects: Objects, there: LogState, names: _Names) -> LogState:
    """The state at a checkpoint: its own, or what the commits say where they are still there and say otherwise."""
    version = there.version
    told = _replayed(objects, version, names)
    if told is None:
        return there
    if told.broken:                                # readers need these commits no more
        there.findings += told.findings
        return there
    if problem := _difference(there, told):
        told.findings.append(_useless(objects, version, f"it lies: {problem}"))
        return told
    there.gone |= told.gone
    there.findings += told.findings
    return there


def _replayed(objects: Objects, version: int, names: _Names) -> LogState | None:
    """The state at `version` from the oldest start that leads there; None where the commits are cleaned up."""
    commits = set(names.commits)
    oldest = version
    while oldest in commits:
        oldest -= 1
    starts = [start for start in (-1, *names.checkpoints) if oldest <= start < version]
    for start in starts:
        state = LogState() if start < 0 else _at_checkpoint(objects, start, names)
        if isinstance(state, LogState):
            return state if _replay(objects, state, version) else None
    return None


def _replay(objects: Objects, state: LogState, until: int) -> bool:
    """Take commits until that version, or one that cannot be read. False: one was cleaned up meanwhile."""
    while state.version < until:
        version = state.version + 1
        body = objects.get(log_path(version))
        if body is None:
            return False
        commit = _decoded(version, body)
        if isinstance(commit, str):
            covered = f"{commit}; checkpoint {until} stands for it"
            state.findings.append(Finding(covered, f"commit {version}", "leave it to the clean-up", damage=False))
            state.broken = True
            return True
        state.take(commit)
    return True


def _difference(there: LogState, told: LogState) -> str | None:
    if there.head != told.head:
        return f"its head is {there.head:,}, by the commits it is {told.head:,}"
    for path in sorted(there.live.keys() | told.live.keys()):
        if path not in told.live:
            return f"{path} is live in it, but not by the commits"
        if path not in there.live:
            return f"{path} is not live in it, but is by the commits"
        if _said(there.live[path], told.live[path]) != _said(told.live[path], there.live[path]):
            return f"it describes {path} otherwise than the commits do"
    return None


def _said(segment: Segment, elsewhere: Segment) -> Segment:
    """What a checkpoint must repeat of a file. It may write the statistics' JSON in its own way (their values are fields), and no digest."""
    return replace(segment, streams=None, stats="", modified_ms=0, sha256=segment.sha256 if elsewhere.sha256 else "")


# Commits after the checkpoint -----------------------------------------------------------------------------------


def _follow(objects: Objects, state: LogState, names: _Names) -> None:
    """Take every commit there is. The listing came before: a commit in it that is not reached lies behind a gap."""
    while (body := objects.get(log_path(state.version + 1))) is not None:
        version = state.version + 1
        commit = _decoded(version, body)
        if isinstance(commit, str):
            finding = _unreadable(objects, version, body, commit, names)
            state.findings.append(finding)
            state.broken = not finding.mendable
            return
        state.take(commit)
    later = [version for version in (*names.commits, *names.checkpoints) if version > state.version]
    if later:
        problem = f"it is missing, though there are commits up to {max(later)}"
        state.findings.append(Finding(problem, f"commit {state.version + 1}", RESTORE))
        state.broken = True


def _decoded(version: int, body: bytes) -> Commit | str:
    """The commit, or what is wrong with it."""
    try:
        return decode(version, body)
    except NotOursError as error:
        return str(error)
    except _MALFORMED as error:
        return f"commit {version} is not one of ours ({error!r})"


def _unreadable(objects: Objects, version: int, body: bytes, problem: str, names: _Names) -> Finding:
    """A writer makes a commit durable before it gives it its name, so one torn under its name was never acknowledged.

    That holds for the last one only: what others built upon was whole once.
    """
    where = f"commit {version}"
    last = max((*names.commits, *names.checkpoints)) <= version and objects.get(log_path(version + 1)) is None
    if last and _is_torn(body):
        return Finding(f"{problem}; no writer was told that it is durable", where, REPAIR, superfluous=(log_path(version),))
    return Finding(problem, where, f"{RESTORE}, or move away what a foreign writer added")


def _is_torn(body: bytes) -> bool:
    """Blank, or cut off within a line: what a write leaves that did not come to its end."""
    lines = [line for line in body.splitlines() if line.strip(b"\0 ")]
    if not lines:
        return True
    try:
        for line in lines:
            orjson.loads(line)
    except orjson.JSONDecodeError:
        return True
    return b"\0" in body

"""`verify`, `repair`, `backup` and `restore`: nothing is lost, and one can tell."""

from __future__ import annotations

from typing import Annotated, Any

from cyclopts import Parameter

from pipelines.cli.arguments import Dry, Place
from pipelines.cli.bars import bar
from pipelines.cli.doer import By, Why, named
from pipelines.cli.outcome import DONE, FOUND
from pipelines.cli.session import HERE, Session
from store import UNKNOWN, Copied
from store import backup as backup_log
from store import repair as repair_log
from store import restore as restore_log
from store import verify as verify_log

Until = Annotated[Place | None, Parameter(help="Up to this position or time. [all of it]")]


def verify(*, session: Session = HERE) -> int:
    """Read the whole log and every value in it, beside writers, and change nothing. Exit code 3 if there is damage."""
    with bar("verifying", "events") as told:
        found = verify_log(session.uri, told)
    facts = {"events": found.events, "files": found.files, "data_bytes": found.data_bytes, "delta_version": found.version}
    rate = found.events / max(found.seconds, 1e-9)
    for finding in found.findings:
        session.answer.note(str(finding))
    findings = [{"where": one.where, "problem": one.problem, "remedy": one.remedy, "damage": one.damage} for one in found.findings]
    told_of = {"findings": findings} if session.json else {"damage": len(found.damage), "notes": len(found.notes)}
    session.answer.facts("", {"sound": found.sound, **facts, "seconds": round(found.seconds, 3), "events_per_s": round(rate), **told_of})
    return DONE if found.sound else FOUND


def repair(
    *,
    dry_run: Dry = False,
    by: By = None,
    why: Why = UNKNOWN,
    session: Session = HERE,
) -> None:
    """Move aside what a crash left: a torn last commit, torn checkpoints, files that nobody names. Whatever else is broken is refused: restore it."""
    with bar("verifying", "events") as told:
        done = repair_log(session.uri, dry_run, told, by=named(by), why=why)
    for finding in (*done.mended, *done.left):
        session.answer.note(str(finding))
    _note_unrecorded(session, done.unrecorded)
    moved: Any = list(done.moved) if session.json else len(done.moved)
    session.answer.facts("", {"dry_run": dry_run, "moved": moved, "to": done.folder, "left": len(done.left)})


def backup(
    to: Annotated[str, Parameter(help="A directory or an object-store URI. A place without a log becomes a backup.")],
    /,
    *,
    until: Until = None,
    session: Session = HERE,
) -> None:
    """Bring the backup of the log up to date; only files that are new since are copied. Only events: all else is made again from them."""
    with bar("copying", "bytes") as told:
        _tell(session, to, backup_log(session.uri, to, until, told))


def restore(
    source: Annotated[str, Parameter(name="FROM", help="The backup.")],
    /,
    *,
    until: Until = None,
    by: By = None,
    why: Why = UNKNOWN,
    session: Session = HERE,
) -> None:
    """Make the log of the warehouse (`--warehouse`, where there must be none yet) from a backup, verified as it is copied."""
    with bar("copying", "bytes") as told:
        done = restore_log(source, session.uri, until, told, by=named(by), why=why)
    _note_unrecorded(session, done.unrecorded)
    _tell(session, session.uri, done)


def _note_unrecorded(session: Session, problem: str | None) -> None:
    if problem is not None:
        session.answer.note(f"that this was done could not be recorded in $audit: {problem}")


def _tell(session: Session, to: str, done: Copied) -> None:
    files = {"files_copied": done.files_copied, "files_kept": done.files_kept, "files_removed": done.files_removed}
    facts = {"to": to, "position": done.position, "recorded_at": done.recorded_at, **files, "copied_bytes": done.copied_bytes}
    session.answer.facts("", {**facts, "seconds": round(done.seconds, 3)})

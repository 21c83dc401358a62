"""`compact` and `maintain`: looking after the files, safely beside writers, readers and runners."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from pipelines.cli.arguments import Dry
from pipelines.cli.bars import working
from pipelines.cli.session import HERE, Session
from pipelines.cli.status import size
from projections import Builds, ReadModel
from store import Compacted, Maintained, open_store


def compact(*, dry_run: Dry = False, session: Session = HERE) -> None:
    """Merge small files of the log into sorted ones. No event and no position changes."""
    with open_store(session.uri) as store, working("merging"):
        done = store.compact(dry_run)
    session.answer.facts("", {"dry_run": dry_run, **_merged(done, dry_run)})


def maintain(*, dry_run: Dry = False, session: Session = HERE) -> None:
    """Merge small files, write checkpoints, clean the logs and vacuum: the event log, every read model that serves, and the snapshots.

    Writers and runners do it by themselves; this does it now, in full, and finds files that killed writers left.
    """
    with working("looking after the tables"):
        rows = [{"table": name, **_told(done, dry_run, session.json)} for name, done in _maintained(session, dry_run)]
    session.answer.rows("What would be done" if dry_run else "", rows)


def _maintained(session: Session, dry_run: bool) -> Iterator[tuple[str, Maintained]]:
    with open_store(session.uri) as store:
        yield "events", store.maintain(dry_run)
        yield "snapshots", store.snapshots.maintain(dry_run)
    builds = Builds(session.uri)
    for projection in session.projections():
        serving = builds.serving(projection)
        if serving is not None and serving.version == projection.version:
            yield projection.name, ReadModel(builds.uri(projection.name, serving.build), projection).maintain(dry_run)


def _told(done: Maintained, dry_run: bool, as_json: bool) -> dict[str, Any]:
    freed = done.cleaned.data_bytes + done.vacuumed.data_bytes
    return {
        **_merged(done.compacted, dry_run),
        "log_files_removed": done.cleaned.files,
        "files_removed": done.vacuumed.files,
        "freed_bytes" if as_json else "freed": freed if as_json else size(freed),
    }


def _merged(done: list[Compacted], dry_run: bool) -> dict[str, int]:
    """Into how many is known when it is done."""
    merged = {"files_merged": sum(one.files_before for one in done)}
    return merged if dry_run else {**merged, "files_made": sum(one.files_after for one in done)}

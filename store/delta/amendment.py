"""Commits that change files, never events: they take the next version, whichever that is, and may find nothing left to do."""

from __future__ import annotations

import uuid
from collections.abc import Callable

from store.delta.actions import Commit
from store.delta.log import Log, Outcome
from store.delta.objects import Objects

Decide = Callable[[str, int], tuple[Commit, bytes] | None]
"""(commit id, Delta version) -> the commit against the newest state, and its lines; None: there is nothing to do any more."""


def amend(objects: Objects, log: Log, decide: Decide) -> Commit | None:
    """Publish what `decide` says, durably, at the next version. None: it gave up, or this process slept and nobody knows."""
    commit_id = str(uuid.uuid4())
    while True:
        with objects.turn():
            log.refresh()
            decided = decide(commit_id, log.version + 1)
            if decided is None:
                return None
            commit, body = decided
            match log.publish(commit.version, body, commit_id):
                case Outcome.OURS:
                    log.apply(commit)
                    return commit
                case Outcome.SLEPT:
                    log.restart()
                    return None

"""Commits that change files, never events: they take the next version, whichever that is, and may find nothing left to do."""

from __future__ import annotations

import uuid
from collections.abc import Callable

from store.delta.commits import Commit
from store.delta.log import Log, Outcome
from store.storage.objects import Objects

Decide = Callable[[str, int], tuple[Commit, bytes] | None]
"""(commit id, Delta version) -> the commit against the newest state, and its lines; None: there is nothing to do any more."""


def amend(objects: Objects, log: Log, decide: Decide) -> Commit | Outcome:
    """Publish what `decide` says, durably, at the next version.

    Else: THEIRS, it gave up and nothing of ours is under way; THEIRS_AT_LAST, it gave up, but a put of unknown fate might
    still arrive; SLEPT, this process slept past a clean-up of the log and nobody knows.
    """
    commit_id, lost = str(uuid.uuid4()), Outcome.THEIRS
    while True:
        with objects.turn():
            log.refresh()
            decided = decide(commit_id, log.version + 1)
            if decided is None:
                return lost
            commit, body = decided
            match log.publish(commit.version, body, commit_id):
                case Outcome.OURS:
                    log.apply(commit)
                    return commit
                case Outcome.SLEPT:
                    log.wake(commit.version)
                    known = {segment.path for segment in log.segments()} | {retired.path for retired in log.retired()}
                    if commit.added and not any(segment.path in known for segment in commit.added):
                        log.withdraw(commit.version, commit_id)
                    return Outcome.SLEPT
                case Outcome.THEIRS_AT_LAST:
                    lost = Outcome.THEIRS_AT_LAST

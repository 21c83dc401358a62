"""The passage between machines: a writer waits for its turn by the rota, and claims one where the others leave it no room."""

from __future__ import annotations

import time
import uuid
from typing import Final

from store.delta.commits import Commit, Writer, claiming
from store.delta.log import AHEAD, Log, Outcome
from store.delta.rota import Rota
from store.times import Clock

LOST_RACES: Final = 1
"""After more than so many a group claims its turn; a large append, which takes longer than others' commits, after the first."""


class Passage:
    """The committer's; `lost_s` of the last try that was lost tells how long others are asked to wait."""

    def __init__(self, log: Log, rota: Rota, clock: Clock) -> None:
        self._log, self._rota, self._clock = log, rota, clock
        self._ahead = 1
        self._lost_s = 0.0

    def writer(self) -> Writer | None:
        """Who makes the commits of this process."""
        with self._log.lock:
            return self._rota.writer()

    def tried(self, seconds: float, won: bool, large: bool) -> bool:
        """A try took so long. True: it was lost although nobody had claimed the place."""
        with self._log.lock:
            if won and not large:
                self._rota.won(seconds)
            self._lost_s = seconds
            return not won and not self._rota.others_claim()

    def look(self) -> None:
        """Learn all commits there are."""
        known = self._log.version
        self._log.refresh(self._ahead)
        # As many as others made since our last turn they are likely to make before the next one: one look will then find them all.
        self._ahead = min(max(0, self._log.version - known) + 1, AHEAD)

    def wait(self) -> bool:
        """Until it is our turn. Was the log looked at?"""
        looked = False
        while True:
            with self._log.lock:
                pause_s, ahead = self._rota.wait_s()
                may_have_moved = self._rota.may_have_moved()
            if pause_s:
                time.sleep(pause_s)
                self._log.refresh(min(ahead + 1, AHEAD))
            elif may_have_moved and not looked:
                self.look()
            else:
                return looked
            looked = True

    def is_blocked(self, lost: int, large: bool) -> bool:
        """Would a try be lost, most likely, after so many that were? How long a large append takes, its first try must tell."""
        with self._log.lock:
            return lost > (0 if large else LOST_RACES) or (not large and self._rota.leaves_no_room())

    def claim(self) -> bool:
        """Ask the writers of other machines to let us be the next one, as soon as one of them has committed.

        Just then none of them can be quicker than a put without events. If nobody commits there is nothing to ask for.
        Was the log looked at?
        """
        if (writer := self._rota.writer(self._lost_s)) is None:
            return False
        at_end, patience = False, time.monotonic() + 2 * writer.takes_ms / 1000
        while time.monotonic() < patience or self._is_claimed():
            found = self._log.look()
            if found and at_end and not self._is_claimed() and self._claimed(writer):
                return True
            at_end = not found
        return True

    def _claimed(self, writer: Writer) -> bool:
        with self._log.lock:
            claim = Commit(self._log.version + 1, str(uuid.uuid4()), self._log.recorded_at, self._log.head, writer=writer, claims=True)
        body = claiming(claim.commit_id, claim.recorded_at, claim.head, self._clock() // 1000, writer)
        outcome = self._log.publish(claim.version, body, claim.commit_id)
        if outcome is Outcome.OURS:
            self._log.apply(claim)
        elif outcome is Outcome.SLEPT:             # where it lies it harms nobody
            self._log.restart()
        return outcome is Outcome.OURS

    def _is_claimed(self) -> bool:
        with self._log.lock:
            return self._rota.others_claim()

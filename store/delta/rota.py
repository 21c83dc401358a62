"""The rota: in which order the writers of several machines commit, as the log itself tells. For fairness only: which commit counts, its put decides.

Between machines there is no lock to queue at, and the same writer would win every race: it knows the log's end as soon as its
put is answered, all others a look later. So each commit names its writer, and whoever committed goes behind the others that
are busy: it waits for them by looking, which is cheaper than to put what cannot win, and what it waits with grows meanwhile.

A newcomer is in nobody's rota, and a large append takes too long to win any race. After races lost it *claims*: a commit
without events, quicker to put than any other, by which it asks to be the next one.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from store.delta.commits import Commit, Writer

LEAST_S: Final = 0.001
MOST_S: Final = 10.0
"""No more is waited for one other writer: it may be gone, or asleep."""
SLACK: Final = 3.0
"""So many times what a try takes there, others wait for it: between the machines lie two looks, and no two tries take the same time."""
CLOSE: Final = 2.0
"""Commits that lie no more than so many tries apart leave no room for another one between them."""
LATE: Final = 1.2
"""From one commit to the next it takes so many times what a try takes: there is a look before it."""
ROUNDS: Final = 2
"""A writer is expected again if its last two commits lie no more rounds apart."""
STALE_US: Final = 10_000_000
"""By the log's own time: whoever has not committed for so long is gone, or has nothing to do."""


@dataclass(slots=True)
class Member:
    """A machine that committed: what a try takes there, its last commit, and whether another one is to be expected in its turn."""

    takes_s: float
    place: int
    recorded_at: int
    expected: bool


class Rota:
    """Follows the log. Ask it under the log's lock."""

    def __init__(self, machine: str, clock_s: Callable[[], float] = time.monotonic) -> None:
        """`machine`: ours; empty where writers need no rota."""
        self._machine, self._clock_s = machine, clock_s
        self._takes_s = 0.0
        self._members: dict[str, Member] = {}      # the one that waits longest first
        self._places = self._recorded_at = self._interval_us = 0
        self._claim: Writer | None = None
        self._moved_s = 0.0

    def writer(self, takes_s: float = 0.0) -> Writer | None:
        """Ours, for a commit that we make. `takes_s`: a try, if it is more than it took lately."""
        return Writer(self._machine, int(max(takes_s, self._takes_s) * 1000) + 1) if self._machine else None

    def won(self, seconds: float) -> None:
        """A small commit took so long."""
        self._takes_s = (self._takes_s + seconds) / 2 if self._takes_s else seconds

    def may_have_moved(self) -> bool:
        """Have other machines had the time to commit since we heard of the last commit?"""
        busy = any(name != self._machine and not self._is_stale(member) for name, member in self._members.items())
        return busy and self._clock_s() - self._moved_s > CLOSE * self._takes_s

    def leaves_no_room(self) -> bool:
        """Do others commit one upon the other, and expect nothing of us?"""
        ours = self._members.get(self._machine)
        if self._claims_us() or (ours is not None and ours.expected):
            return False
        name, newest = next(reversed(self._members.items()), (self._machine, ours))
        return newest is not None and name != self._machine and self._interval_us < CLOSE * 1e6 * newest.takes_s

    def others_claim(self) -> bool:
        """Is another machine to be the next one?"""
        if self._claim is None or self._claim.machine == self._machine:
            return False
        return self._clock_s() < self._moved_s + self._patience_s(self._claim_s())

    def wait_s(self) -> tuple[float, int]:
        """How long to wait before the next look, and for how many commits to look then. (0, 0): it is our turn."""
        if self._claims_us():
            return 0.0, 0
        awaited = [self._claim_s()] if self.others_claim() else [max(member.takes_s, self._takes_s) for member in self._before_us()]
        waited_s = self._clock_s() - self._moved_s
        if not awaited or waited_s >= sum(map(self._patience_s, awaited)):
            return 0.0, 0
        *earlier, last = awaited                   # while the earlier ones are at it there is nothing to see that matters to us
        return max(LATE * sum(earlier) + last / 2 - waited_s, LEAST_S), len(awaited)

    # Following the log ----------------------------------------------------------------------------------------

    def applied(self, commit: Commit) -> None:
        if not self._machine or commit.writer is None or not (commit.claims or commit.appends):
            return
        self._moved_s = self._clock_s()
        if commit.claims:
            self._claim = commit.writer
        else:
            self._committed(commit.writer, commit.recorded_at)

    def restarted(self, head: int) -> None:
        self._members.clear()
        self._claim = None

    def _committed(self, writer: Writer, recorded_at: int) -> None:
        asked, self._claim = self._claim is not None and self._claim.machine == writer.machine, None
        self._places += 1
        self._interval_us, self._recorded_at = recorded_at - self._recorded_at, recorded_at
        before = self._members.get(writer.machine)
        if before is not None and not asked:
            self._pass_over(writer.machine)
        expected = before is not None and self._places - before.place <= ROUNDS * (len(self._members) + 1)
        self._members = {name: member for name, member in self._members.items() if name != writer.machine and not self._is_stale(member)}
        self._members[writer.machine] = Member(writer.takes_ms / 1000, self._places, recorded_at, expected)

    def _pass_over(self, machine: str) -> None:
        """Those before it let their turn go by: nobody waits for them again until they have shown that they are busy."""
        for name, member in self._members.items():
            if name == machine:
                return
            member.expected = False

    def _before_us(self) -> list[Member]:
        names = list(self._members)
        before = names[: names.index(self._machine)] if self._machine in names else []
        return [member for name in before if (member := self._members[name]).expected and not self._is_stale(member)]

    def _is_stale(self, member: Member) -> bool:
        return self._recorded_at - member.recorded_at > STALE_US

    def _claims_us(self) -> bool:
        return self._claim is not None and self._claim.machine == self._machine

    def _claim_s(self) -> float:
        assert self._claim is not None
        return max(self._claim.takes_ms / 1000, self._takes_s)

    def _patience_s(self, takes_s: float) -> float:
        return min(SLACK * takes_s, MOST_S)

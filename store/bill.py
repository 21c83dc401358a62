"""What a log in an object store costs in requests: computed from how it is used, and what that comes to at a price list.

Of two kinds, as stores charge for them: *writes* (PUT, POST, LIST) and *reads* (GET, HEAD). Bytes, stored or sent, are not part
of it. Each action below is what the tests count between the store and an S3, so that none becomes dearer unnoticed.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, NamedTuple

from store.delta.compaction import DUE_RUNS
from store.delta.log import AHEAD
from store.delta.segment import LEAF_ROWS, RUN_ROWS
from store.delta.upkeep import CHECKPOINT_EVERY, CHECKPOINT_ROWS, CLEAN_EVERY_S, LOOK_EVERY
from store.shard import FANOUT, depth_for
from store.storage.connection import POLL_S

MILLION: Final = 1_000_000


class Prices(NamedTuple):
    """Dollars a request."""

    write: float
    read: float


S3_STANDARD: Final = Prices(5e-6, 4e-7)
"""In us-east-1 (aws.amazon.com/s3/pricing, 2026)."""


@dataclass(frozen=True, slots=True)
class Requests:
    """How many of either kind; an average need not be whole."""

    writes: float = 0
    reads: float = 0

    def __add__(self, other: Requests) -> Requests:
        return Requests(self.writes + other.writes, self.reads + other.reads)

    def __mul__(self, times: float) -> Requests:
        return Requests(self.writes * times, self.reads * times)

    def dollars(self, prices: Prices = S3_STANDARD) -> float:
        return self.writes * prices.write + self.reads * prices.read


COMMIT: Final = Requests(2, 0)
"""A data file, and the commit that names it; however many appends share it."""
LOOK: Final = Requests(0, 1)
"""Has somebody committed? Also each commit of others that is read."""
LOST_RACE: Final = COMMIT + LOOK + Requests(1, 0)
"""The winner is read, and the file that was put in vain removed."""
CLAIM: Final = Requests(1, 0)
"""A commit without events, by which a newcomer or a large append asks to be the next one."""
CHECKPOINT: Final = Requests(7, 7)
"""The state, the hint, and a heads file that takes in the one before it and what one data file adds to it."""
REMOVED_AT_ONCE: Final = 500


def opening(commits: int) -> Requests:
    """A store opened so many commits after its last checkpoint: those are looked for by ones, twos, fours and so on."""
    looks, ahead, count = 0, 1, 0
    while True:
        looks, count = looks + ahead, count + 1
        if commits < ahead:
            return Requests(0, 6 + looks)
        commits -= ahead
        ahead = min(2 * ahead, AHEAD) if count > 1 else ahead


def merging(files: float, others: float, written: float = 1) -> Requests:
    """A merge: of its files, `others` are not remembered by who merges, since other processes wrote them or it was long ago."""
    return Requests(written + 1, 1 + 2 * min(files, others))


def cleaning(removed: float) -> Requests:
    """A clean-up of the log that finds so many files, a thousand at most."""
    return Requests(1 + (removed > 0), 3)


def expiring(removed: float) -> Requests:
    """Replaced data files are removed by a writer's own vacuum, which lists nothing."""
    return Requests(1 + -(-removed // REMOVED_AT_ONCE), 1)


@dataclass(frozen=True, slots=True)
class Usage:
    """How a log is used: `events_s` a second, all writers together, `events_a_commit`, `machines` with one writer each, and `followers`.

    A follower is a process that follows the log all the time. Clients do not count: those of one process share commits.
    """

    events_s: float
    events_a_commit: float
    machines: int = 1
    followers: int = 0

    def __post_init__(self) -> None:
        for name, least in (("events_s", 0.0), ("events_a_commit", 1.0), ("machines", 1), ("followers", 0)):
            value = getattr(self, name)
            if not least <= value < float("inf") or (name == "events_s" and value == 0):
                raise ValueError(f"{name} is {value!r}: give a number {'above 0' if name == 'events_s' else f'from {least:g} on'}")


def requests_for(usage: Usage) -> Mapping[str, Requests]:
    """The requests of a million events, by what they are for. Pure: nothing is asked of any store.

    Averages of a log in steady use, without lost races; `sum(….values(), Requests())` is all of them together.
    """
    commits, seconds = MILLION / usage.events_a_commit, MILLION / usage.events_s
    looks = min(seconds / CLEAN_EVERY_S, commits / LOOK_EVERY)
    return {
        "commits": COMMIT * commits,
        # Each reads the commits of all others, and looks about once more before its turn comes.
        "turns of machines": LOOK * (2 * usage.machines * commits if usage.machines > 1 else 0),
        "merges": _merges(usage),
        "checkpoints": CHECKPOINT * max(commits / CHECKPOINT_EVERY, MILLION / CHECKPOINT_ROWS),
        "clean-up": (cleaning(1) + expiring(1)) * looks,
        "followers": (LOOK * (seconds / POLL_S) + LOOK * commits * 3) * usage.followers,
    }


def _merges(usage: Usage) -> Requests:
    """Landing files become runs, and runs longer ones, until one run fills its range."""
    merges, rows = Requests(), usage.events_a_commit
    others = (usage.machines - 1) / usage.machines
    while rows < RUN_ROWS:
        files = min(DUE_RUNS if rows * DUE_RUNS < LEAF_ROWS else FANOUT, RUN_ROWS / rows)
        rows *= max(files, 2)
        merges += merging(files, files * others, FANOUT ** depth_for(int(rows), LEAF_ROWS)) * (MILLION / rows)
        others = 1.0                               # of what was merged little is remembered
    return merges

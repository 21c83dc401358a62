"""The Delta log as this process knows it: the live files, the head, and how one commit more is made."""

from __future__ import annotations

import math
import threading
import time
import uuid
from bisect import bisect_right
from collections import deque
from contextlib import suppress
from operator import itemgetter
from typing import Final, Protocol

from store.delta import checkpoint, head_runs
from store.delta.actions import Retired, Segment
from store.delta.checkpoint import State
from store.delta.commits import Commit, creation, decode
from store.delta.table import NotOursError, Table
from store.errors import AccessDeniedError, OutcomeUnknownError, StorageError, StoreClosedError, TableRefusedError
from store.storage.objects import Objects
from store.tables import checkpoint_file, publishing
from store.tables.publishing import Outcome as Outcome
from store.tables.publishing import commit_id_of
from store.tables.publishing import log_path as log_path

SETTLE_S: Final = 10.0
"""How long a commit of unknown outcome is asked after before its callers are told that it is unknown."""
STAMPS: Final = 4_096
ROUNDED_US: Final = 999
"""So much later than it was a time may be that a checkpoint tells."""
ASLEEP_S: Final = 10.0
"""Who has not looked at the log for so long may have missed its clean-up. Far below the age at which log files go."""
AHEAD: Final = 16
"""So many commits are looked for at once, at most."""
_REMEDY: Final = "open the store and append the same again"
_CLOCK: Final = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)  # it goes on while the machine is suspended


class Follower(Protocol):
    """Hears of what happens to the log, in order and under its lock."""

    def applied(self, commit: Commit) -> None:
        """One commit more, of anybody's."""

    def restarted(self, head: int) -> None:
        """The state was read from a checkpoint at this position; commits before it may have gone by unheard."""


class Followers:
    """Several, in this order."""

    def __init__(self, *followers: Follower) -> None:
        self._followers = followers

    def applied(self, commit: Commit) -> None:
        for follower in self._followers:
            follower.applied(commit)

    def restarted(self, head: int) -> None:
        for follower in self._followers:
            follower.restarted(head)


class Nobody:
    """Follows a log without a care, for one who only looks at it."""

    def applied(self, commit: Commit) -> None: ...

    def restarted(self, head: int) -> None: ...


def create(objects: Objects, now_ms: int) -> None:
    """Make the table, unless it is there or another process is quicker."""
    if not any(objects.list("_delta_log")):        # of a log that was cleaned, commit 0 alone is no longer there
        head_runs.discard(objects)
        objects.put_if_absent(log_path(0), creation(Table(str(uuid.uuid4()), now_ms)))


class Log:
    """Everything below is one state: change and read it under `lock`. Readers of files take a copy by `segments()`."""

    def __init__(self, objects: Objects, follower: Follower, may_be_absent: bool = False, floor: int = 0) -> None:
        """Read the state. The follower hears of all that happens after that.

        `may_be_absent`: then a place without a log has version -1, and the first commit published makes the table.
        `floor`: no event of this log is recorded before it, in microseconds.
        """
        self.lock = threading.RLock()
        self._objects, self._follower = objects, follower
        self.version = -1
        self.head = 0
        self.recorded_at = self._floor = floor
        self.promised_at = max(0, floor - ROUNDED_US)
        self.stamps: deque[tuple[int, int]] = deque(maxlen=STAMPS)
        """When the last commits of events were recorded, and the head after each: none is left out between them."""
        self.checkpointed = -1
        self.vacuumed = -1
        """The newest version at which a vacuum may have begun: files written before it, and not committed by then, may be gone."""
        self.table: Table | None = None
        """Which log this is; None while there is none."""
        self._segments: dict[str, Segment] = {}
        self._retired: dict[str, Retired] = {}
        self._body = (-1, b"")
        """A commit of late, its version and its bytes: the newest, unless that was read from a checkpoint."""
        self._proved_s = -math.inf
        """When a look at the log, or a commit of ours, last proved `version` the newest."""
        self._start()
        if self.version < 0 and not may_be_absent:
            raise TableRefusedError(objects.uri, "there is no event log here", "pass create=True to make one")

    @property
    def sealed(self) -> tuple[str, ...]:
        """The logs that go on where this one has ended; none while it takes events."""
        return () if self.table is None else self.table.logs

    def recorded_by(self, moment: int) -> int | None:
        """The last position recorded by that microsecond, if it can be told without a look into files."""
        with self.lock:
            if moment >= self.recorded_at:
                return self.head
            if not self.stamps or self.stamps[0][0] > moment:
                return None
            return self.stamps[bisect_right(self.stamps, moment, key=itemgetter(0)) - 1][1]

    def segments(self) -> list[Segment]:
        """The live files now."""
        with self.lock:
            return list(self._segments.values())

    def live(self) -> list[Segment]:
        """The live files as of the newest commit of anybody."""
        self.refresh()
        return self.segments()

    def retired(self) -> list[Retired]:
        """The files that are no longer live and not vacuumed yet, in the order in which they were replaced."""
        with self.lock:
            return list(self._retired.values())

    def state(self) -> State:
        """What a checkpoint of `version` says."""
        with self.lock:
            assert self.table is not None
            return State(self.version, self.head, -(-self.recorded_at // 1000), self.table, self.segments(), self.retired())

    def refresh(self, ahead: int = 1) -> None:
        """Learn every commit that is there now. TableRefusedError: one of them is torn or foreign.

        `ahead`: so many are looked for at once to begin with, where a look takes long.
        """
        with self.lock:
            looks = 0
            while self.look(ahead):
                looks += 1
                if looks > 1:                      # there are many: who looks for them one by one does not catch up with a busy log
                    ahead = min(2 * ahead, AHEAD)

    def look(self, ahead: int = 1) -> bool:
        """Learn the next commits, so many at most, in one look. True: there may be more. For errors see `refresh`."""
        with self.lock:
            looked_s, begin = _now_s(), self.version
            for body in self._objects.get_run([log_path(begin + number) for number in range(1, ahead + 1)]):
                self._learn(self.version + 1, body)
            if self.version == begin + ahead:
                return True
            if looked_s - self._proved_s > ASLEEP_S and self._was_cleaned_past(self.version + 1):
                self.restart()
                return True
            self._proved_s = looked_s
            return False

    def restart(self) -> None:
        """Read the state anew: the log was cleaned past what this process knew."""
        with self.lock:
            head = self.head
            self._start(beyond=self.version)
            if self.head < head:
                raise self._refusal(f"the log ends at position {self.head:,}, but went to {head:,} before")

    def wake(self, version: int) -> None:
        """Learn what is there after a put at this version was slept through; another thread may have woken first, and know it already."""
        with self.lock:
            if self.version < version:
                self.restart()
            else:
                self.refresh()

    def apply(self, commit: Commit, ours: bool = False) -> bool:
        """Take the next commit into the state; False for one that is known already. `ours`: the caller tells whom it concerns."""
        with self.lock:
            if commit.version <= self.version:     # a reader of this process saw it on disk before its writer told
                return False
            gone = [segment for path, *_ in commit.removed if (segment := self._segments.get(path))]
            gained = sum(s.rows for s in commit.added) - sum(s.rows for s in gone)
            if gained != commit.head - self.head:  # a merge gains none, and whoever tears its end off would take rows away
                raise self._refusal(f"commit {commit.version} holds other positions than it says")
            for retired in commit.removed:
                self._segments.pop(retired.path, None)
                self._retired[retired.path] = retired
            self._segments.update((segment.path, segment) for segment in commit.added)
            self.table = commit.table or self.table
            if commit.vacuum:
                self.vacuumed = commit.version
            if (until_ms := commit.vacuumed_ms) is not None:
                self._retired = {path: retired for path, retired in self._retired.items() if retired.retired_ms > until_ms}
            self.version, self.head = commit.version, max(self.head, commit.head)
            self.recorded_at = max(self.recorded_at, commit.recorded_at)
            self.promised_at = max(self.promised_at, commit.recorded_at)
            if commit.appends:
                if commit.heads is None:           # a copy's events were recorded at many times
                    self.stamps.clear()
                self.stamps.append((commit.recorded_at, commit.head))
            if not ours:
                self._follower.applied(commit)
            return True

    def newest(self) -> tuple[int, str | None]:
        """The version of the newest commit known, and the SHA-256 of its bytes; None where it is no longer there."""
        with self.lock:
            return self.version, self._digest(self.version)

    def publish(self, version: int, body: bytes, commit_id: str) -> Outcome:
        """Put commit `version`, durably, linked to the one before it.

        A put of unknown outcome is repeated with the same bytes until somebody's commit is there: only then is
        the outcome known, and a version higher than this one may be tried. OutcomeUnknownError: storage stayed mute.
        Of a lost race the winner is known afterwards.
        """
        with self.lock:                            # other threads look at the log meanwhile, and what they prove is of later versions
            proved_s = self._proved_s if self.version == version - 1 else -math.inf
            body = publishing.linked(body, self._digest(version - 1))
        began_s = _now_s()
        outcome, there = publishing.publish(self._objects, version, body, commit_id, SETTLE_S, _REMEDY)
        if outcome is not Outcome.OURS:
            with self.lock:
                if version == self.version + 1:
                    self._learn(version, there)
            return outcome
        try:
            return self._succeeded(version, body, began_s, proved_s)
        except (StorageError, StoreClosedError) as error:
            raise OutcomeUnknownError(f"commit {version} may or may not be part of the log ({error}): {_REMEDY}") from error

    def withdraw(self, version: int, commit_id: str) -> None:
        """Remove our commit that lies unseen below a checkpoint, so that nobody ever reads it as part of the log.

        Where we may not remove it, it lies there until a clean-up: no reader of the log begins below a checkpoint.
        """
        if commit_id_of(self._objects.get(log_path(version)) or b"") == commit_id:
            with suppress(AccessDeniedError):
                self._objects.delete([log_path(version)])

    def _succeeded(self, version: int, body: bytes, began_s: float, proved_s: float) -> Outcome:
        """The put is there. But who slept since they saw version - 1 as the newest, at `proved_s`, may have put it where nobody looks any more."""
        with self.lock:
            if _now_s() - proved_s > ASLEEP_S and self._was_cleaned_past(version):
                return Outcome.SLEPT
            self._proved_s = max(self._proved_s, began_s)
            self._remember(version, body)
            return Outcome.OURS

    def _learn(self, version: int, body: bytes) -> None:
        self.apply(self._decoded(version, body))
        self._remember(version, body)

    def _remember(self, version: int, body: bytes) -> None:
        if version > self._body[0]:                # another thread may have come further meanwhile
            self._body = version, body

    def _digest(self, version: int) -> str | None:
        """Of a commit. Of a checkpoint's own storage must be asked, once: clean-up leaves that of the newest."""
        if version != self._body[0] and (body := self._objects.get(log_path(version)) if version >= 0 else None) is not None:
            self._remember(version, body)
        return publishing.digest_of(self._body[1]) if version == self._body[0] >= 0 else None

    def _was_cleaned_past(self, version: int) -> bool:
        return checkpoint_file.cleaned_past(self._objects, version, lambda newer: checkpoint.read_version(self._objects, newer))

    def _start(self, beyond: int | None = None) -> None:
        """`beyond`: what was known is cleaned away, so there must be a checkpoint of a later version than this."""
        try:
            state = checkpoint.read(self._objects)
        except NotOursError as error:
            raise self._refusal(str(error)) from error
        if beyond is not None and (state is None or state.version <= beyond):
            damaged = ", ".join(map(checkpoint.path_of, checkpoint.versions(self._objects))) or "none is there"
            raise self._refusal(f"the log was cleaned past commit {beyond + 1}, and no later checkpoint can be read ({damaged})")
        if state is not None:
            self.stamps.clear()
            self.version = self.checkpointed = self.vacuumed = state.version
            self.head, self.table = state.head, state.table
            # Whole milliseconds, rounded up: who commits keeps to them, who asks what others may still commit must not rely on the last one.
            self.recorded_at = max(self._floor, 1000 * state.recorded_ms, *(s.recorded_until for s in state.segments))
            self.promised_at = max(self.promised_at, self.recorded_at - ROUNDED_US)
            self._segments = {segment.path: segment for segment in state.segments}
            self._retired = {retired.path: retired for retired in state.retired}
            self._follower.restarted(self.head)
        self._proved_s = -math.inf                 # a checkpoint proves nothing about what came after it
        self.refresh()
        self._check_gap()
        if self.version < 0 and any(self._objects.list("_delta_log")):
            self.refresh()                         # or it has come since we looked for it
            if self.version < 0:
                damaged = ", ".join(map(checkpoint.path_of, checkpoint.versions(self._objects))) or "none is there"
                raise self._refusal(f"commit 0 is missing, and no checkpoint can be read in its place ({damaged})")
        rows, last = sum(s.rows for s in self._segments.values()), max((s.last for s in self._segments.values()), default=0)
        if not rows == last == self.head:
            raise self._refusal(f"{rows:,} rows are live, the last position is {last:,} and the log's head {self.head:,}: they should be equal")

    def _check_gap(self) -> None:
        """Opening lists nothing, so it looks one commit further: where one is missing it must not begin to fill the gap."""
        if self._objects.get(log_path(self.version + 2)) is None:
            return
        if self._objects.get(log_path(self.version + 1)) is None:
            raise self._refusal(f"commit {self.version + 1} is missing, but there are later ones")
        self.refresh()                             # somebody was quick

    def _decoded(self, version: int, body: bytes) -> Commit:
        try:
            return decode(version, body)
        except NotOursError as error:
            raise self._refusal(str(error)) from error

    def _refusal(self, problem: str) -> TableRefusedError:
        return TableRefusedError(self._objects.uri, problem, "restore the log from a backup, or move away what does not belong to it")


def _now_s() -> float:
    return time.clock_gettime(_CLOCK)

"""The Delta log as this process knows it: the live files, the head, and how one commit more is made."""

from __future__ import annotations

import itertools
import random
import threading
import time
import uuid
from collections.abc import Callable
from enum import Enum
from typing import Final

from store.delta import checkpoint
from store.delta.actions import Commit, NotOursError, Segment, commit_id_of, creation, decode
from store.delta.objects import Objects
from store.errors import OutcomeUnknownError, StorageError, StoreClosedError, TableRefusedError

SETTLE_S: Final = 10.0
"""How long a commit of unknown outcome is asked after before its callers are told that it is unknown."""


def log_path(version: int) -> str:
    return f"_delta_log/{version:020d}.json"


class Outcome(Enum):
    """Whose commit a version turned out to be."""

    OURS = "ours"
    THEIRS = "theirs"
    THEIRS_AT_LAST = "theirs, after a put of ours of unknown fate, which might still arrive"


def create(objects: Objects, now_ms: int) -> None:
    """Make the table, unless it is there or another process is quicker."""
    if objects.get(log_path(0)) is None and not checkpoint.exists(objects):
        objects.put_if_absent(log_path(0), creation(str(uuid.uuid4()), now_ms))


class Log:
    """Everything below is one state: change and read it under `lock`. Readers of files take a copy by `segments()`."""

    def __init__(self, objects: Objects, applied: Callable[[Commit], None], may_be_absent: bool = False) -> None:
        """Read the state. `applied` hears of every commit after that, in order and under the lock.

        `may_be_absent`: then a place without a log has version -1, and the first commit published makes the table.
        """
        self.lock = threading.RLock()
        self._objects, self._applied = objects, applied
        self.version = -1
        self.head = 0
        self.recorded_at = 0
        self.checkpointed = -1
        self._segments: dict[str, Segment] = {}
        self._start(may_be_absent)

    def segments(self) -> list[Segment]:
        """The live files now."""
        with self.lock:
            return list(self._segments.values())

    def refresh(self) -> None:
        """Learn every commit that is there now. TableRefusedError: one of them is torn or foreign."""
        with self.lock:
            while (body := self._objects.get(log_path(self.version + 1))) is not None:
                self.apply(self._decoded(self.version + 1, body))

    def apply(self, commit: Commit, ours: bool = False) -> bool:
        """Take the next commit into the state; False for one that is known already. `ours`: the caller tells whom it concerns."""
        with self.lock:
            if commit.version <= self.version:     # a reader of this process saw it on disk before its writer told
                return False
            gone = sum(self._segments[path].rows for path in commit.removed if path in self._segments)
            if commit.appends and sum(segment.rows for segment in commit.added) - gone != commit.head - self.head:
                raise self._refusal(f"commit {commit.version} holds other positions than it says")
            for path in commit.removed:
                self._segments.pop(path, None)
            self._segments.update((segment.path, segment) for segment in commit.added)
            self.version, self.head = commit.version, max(self.head, commit.head)
            self.recorded_at = max(self.recorded_at, commit.recorded_at)
            if not ours:
                self._applied(commit)
            return True

    def publish(self, version: int, body: bytes, commit_id: str) -> Outcome:
        """Put commit `version`, durably.

        A put of unknown outcome is repeated with the same bytes until somebody's commit is there: only then is
        the outcome known, and a version higher than this one may be tried. OutcomeUnknownError: storage stayed mute.
        """
        patience = time.monotonic() + SETTLE_S
        unknown = False
        for attempt in itertools.count():
            try:
                if self._objects.put_if_absent(log_path(version), body):
                    return Outcome.OURS
                # It may be ours all the same: storage repeats a put whose reply was lost, and finds its own object.
                if (there := self._objects.get(log_path(version))) is not None:
                    if commit_id_of(there) == commit_id:
                        return Outcome.OURS
                    return Outcome.THEIRS_AT_LAST if unknown else Outcome.THEIRS
            except OutcomeUnknownError:
                unknown = True
                if time.monotonic() > patience:
                    raise
                time.sleep(random.uniform(0.5, 1.0) * min(1.0, 0.02 * 2**attempt))
            except (StorageError, StoreClosedError) as error:
                if not unknown:
                    raise
                untold = f"commit {version} may or may not be durable ({error}): open the store and append the same again"
                raise OutcomeUnknownError(untold) from error
        raise AssertionError("unreachable")

    def _start(self, may_be_absent: bool) -> None:
        try:
            state = checkpoint.read(self._objects)
        except NotOursError as error:
            raise self._refusal(str(error)) from error
        if state is not None:
            self.version = self.checkpointed = state.version
            self._segments = {segment.path: segment for segment in state.segments}
            self.head, self.recorded_at = state.head, max((s.recorded_until for s in state.segments), default=0)
        self.refresh()
        if self.version < 0 and not may_be_absent:
            raise TableRefusedError(self._objects.uri, "there is no event log here", "pass create=True to make one")
        rows, last = sum(s.rows for s in self._segments.values()), max((s.last for s in self._segments.values()), default=0)
        if not rows == last == self.head:
            raise self._refusal(f"{rows:,} rows are live, the last position is {last:,} and the log's head {self.head:,}: they should be equal")

    def _decoded(self, version: int, body: bytes) -> Commit:
        try:
            return decode(version, body)
        except NotOursError as error:
            raise self._refusal(str(error)) from error

    def _refusal(self, problem: str) -> TableRefusedError:
        return TableRefusedError(self._objects.uri, problem, "restore the log from a backup, or move away what does not belong to it")

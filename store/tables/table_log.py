"""The Delta log of a table as this process knows it: the live files, and how one commit more is made."""

from __future__ import annotations

import math
import threading
import time
import uuid
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final, NamedTuple

from store.errors import NewerTableError, OutcomeUnknownError, StorageError, StoreClosedError, TableRefusedError
from store.storage.objects import Objects
from store.tables import checkpoint_file, publishing
from store.tables.commit import VACUUM_START, Change, Commit, decode, encode
from store.tables.files import File, Retired, add_of, file_of, remove_of, retired_of
from store.tables.layout import Identity, Layout
from store.tables.publishing import Outcome, log_path
from store.tables.shape import NewerFormatError, NotOursError, understood
from store.tables.staged import staged_of

SETTLE_S: Final = 10.0
"""How long a commit of unknown outcome is asked after before its caller is told that it is unknown."""
ASLEEP_S: Final = 10.0
"""Who has not looked at the log for so long may have missed its clean-up. Far below the age at which log files go."""
_REMEDY: Final = "do the same again"
_CLOCK: Final = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)  # it goes on while the machine is suspended

Decide = Callable[[], Change | None]
"""What to do to the table in its newest state, seen under the log's lock; None: nothing any more."""


class State(NamedTuple):
    """What a checkpoint says."""

    version: int
    table: Identity
    files: Sequence[File]
    retired: Sequence[Retired]
    txns: dict[str, int]


class TableLog:
    """Everything below is one state: change and read it under `lock`. Readers of files take a copy by `files()`.

    A place without a log has version -1, and the first commit makes the table. TableRefusedError, from every method
    that looks: the log is torn, or another writer's; NewerTableError: a newer store's.
    """

    version: int
    checkpointed: int
    vacuumed: int
    """The newest version at which a vacuum may have begun: files written before it, and not committed by then, may be gone."""
    table: Identity | None
    """Which table this is; None while there is none."""
    txns: dict[str, int]
    _files: dict[str, File]
    _retired: dict[str, Retired]
    _proved_s: float
    """When a look at the log, or a commit of ours, last proved `version` the newest."""

    def __init__(self, objects: Objects, layout: Layout) -> None:
        """Read the state."""
        self.lock = threading.RLock()
        self.layout = layout
        self._objects = objects
        self._forget()
        self._start()

    def files(self) -> list[File]:
        """The live files now."""
        with self.lock:
            return list(self._files.values())

    def retired(self) -> list[Retired]:
        """The files that are no longer live and not vacuumed yet, in the order in which they were replaced."""
        with self.lock:
            return list(self._retired.values())

    def staged(self, marks: Mapping[str, str] | None = None) -> dict[str, tuple[File, ...]]:
        """The files beside the table that these marks name, or those of now."""
        with self.lock:
            said = ({} if self.table is None else self.table.marks) if marks is None else marks
        found: dict[str, tuple[File, ...]] = self._understood(lambda: staged_of(self.layout, said))
        return found

    def refresh(self) -> None:
        """Learn every commit that is there now."""
        with self.lock:
            while True:
                looked_s = _now_s()
                if (body := self._objects.get(log_path(self.version + 1))) is not None:
                    self._apply(self._decoded(body))
                elif looked_s - self._proved_s > ASLEEP_S and self._was_cleaned_past(self.version + 1):
                    self.restart()
                else:
                    self._proved_s = looked_s
                    return

    def restart(self) -> None:
        """Read the state anew: the log was cleaned past what this process knew."""
        with self.lock:
            self._start(beyond=self.version)

    def amend(self, decide: Decide) -> Commit | Outcome:
        """Publish what `decide` says, durably, at the next version, whichever that is; it decides anew after a lost race.

        Else nothing of ours is in the table: THEIRS, it gave up; THEIRS_AT_LAST, it gave up, but a put of unknown fate might
        still arrive, so the files it named must stay. OutcomeUnknownError: storage stayed mute, do the same again.
        """
        commit_id, lost = str(uuid.uuid4()), Outcome.THEIRS
        while True:
            with self._objects.turn():
                with self.lock:
                    self.refresh()
                    if (change := decide()) is None:
                        return lost
                    now_ms, proved_s = time.time_ns() // 1_000_000, self._proved_s
                    commit = Commit(self.version + 1, commit_id, change, self._said_by(change, now_ms))
                match self._publish(commit, encode(self.layout, commit, now_ms), proved_s):
                    case Outcome.OURS:
                        self._apply(commit)
                        return commit
                    case Outcome.SLEPT:
                        self._wake(commit.version)
                        if self._knows(change):
                            return commit
                        self._withdraw(commit)     # and once more: nobody reads it where it is
                    case Outcome.THEIRS_AT_LAST:
                        lost = Outcome.THEIRS_AT_LAST

    def checkpoint(self) -> int:
        """Write a checkpoint of the newest state; its size in bytes."""
        with self.lock:
            self.refresh()
            version, table, files = self.version, self.table, self.files()
            if table is None:
                return 0
            lines: list[dict[str, Any]] = [{"protocol": self.layout.protocol()}, {"metaData": self.layout.metadata(table)}]
            lines += ({"txn": {"appId": app, "version": newest}} for app, newest in self.txns.items())
            lines += ({"remove": remove_of(self.layout, retired, data_change=False)} for retired in self.retired())
            lines += ({"add": add_of(self.layout, file, data_change=False)} for file in files)
        size_bytes = checkpoint_file.write(self._objects, version, lines, len(files))
        self.checkpointed = max(self.checkpointed, version)
        return size_bytes

    def read_checkpoint(self, version: int) -> State | None:
        """What the checkpoint of this version says; None for no such one, or a torn one."""
        state: State | None = self._understood(lambda: self._state(version))
        return state

    def _state(self, version: int) -> State | None:
        told = checkpoint_file.read(self._objects, version)
        if told is None:
            return None
        with understood(f"checkpoint {version}"):
            protocols, metadata = told["protocol"], told["metaData"]
            if not len(protocols) == len(metadata) == 1:
                raise NotOursError(f"checkpoint {version} does not say what the table is")
            table = self.layout.identity_of(metadata[0])     # first: a newer table may need more of its writers
            self.layout.check_protocol(protocols[0])
            return State(
                version,
                table,
                [file_of(self.layout, add) for add in told["add"]],
                [retired_of(self.layout, remove) for remove in told["remove"]],
                {txn["appId"]: txn["version"] for txn in told["txn"]},
            )

    def _publish(self, commit: Commit, body: bytes, proved_s: float) -> Outcome:
        """`proved_s`: when the version before was the newest; what other threads see meanwhile proves later ones."""
        began_s = _now_s()
        outcome, _ = publishing.publish(self._objects, commit.version, body, commit.commit_id, SETTLE_S, _REMEDY)
        if outcome is not Outcome.OURS:
            return outcome
        try:
            # Who slept since they saw the version before as the newest may have put it where nobody looks any more.
            if _now_s() - proved_s > ASLEEP_S and self._was_cleaned_past(commit.version):
                return Outcome.SLEPT
        except (StorageError, StoreClosedError) as error:
            raise OutcomeUnknownError(f"commit {commit.version} may or may not be part of the table ({error}): {_REMEDY}") from error
        self._proved_s = max(self._proved_s, began_s)
        return Outcome.OURS

    def _wake(self, version: int) -> None:
        """Learn what is there after a put at this version was slept through; another thread may have woken first, and know it already."""
        with self.lock:
            if self.version < version:
                self.restart()
            else:
                self.refresh()

    def _said_by(self, change: Change, now_ms: int) -> Identity | None:
        """What the table is from this change on, if it says so; the first one makes the table."""
        if self.table is None:
            return Identity(str(uuid.uuid4()), now_ms, change.marks or {})
        return None if change.marks is None else self.table._replace(marks=change.marks)

    def _apply(self, commit: Commit) -> None:
        with self.lock:
            if commit.version <= self.version:     # a reader of this process saw it on disk before its writer told
                return
            change = commit.change
            if change.anew:
                self._forget()
            for retired in change.removed:
                self._files.pop(retired.path, None)
                self._retired[retired.path] = retired
            self._files.update((file.path, file) for file in change.added)
            self.txns |= change.txns
            self.table = commit.table or self.table
            if change.operation == VACUUM_START:
                self.vacuumed = commit.version
            if (until_ms := change.vacuumed_ms) is not None:
                self._retired = {path: retired for path, retired in self._retired.items() if retired.retired_ms > until_ms}
            self.version = commit.version

    def _knows(self, change: Change) -> bool:
        """Did our files become part of the table before it was cleaned past our commit?"""
        return any(file.path in self._files or file.path in self._retired for file in change.added)

    def _withdraw(self, commit: Commit) -> None:
        """Remove our commit that lies unseen below a checkpoint, so that nobody ever reads it as part of the table."""
        if publishing.commit_id_of(self._objects.get(log_path(commit.version)) or b"") == commit.commit_id:
            self._objects.delete([log_path(commit.version)])

    def _was_cleaned_past(self, version: int) -> bool:
        return checkpoint_file.cleaned_past(self._objects, version, self.read_checkpoint)

    def _forget(self) -> None:
        self.version = self.checkpointed = self.vacuumed = -1
        self.table, self.txns, self._files, self._retired = None, {}, {}, {}
        self._proved_s = -math.inf

    def _start(self, beyond: int | None = None) -> None:
        """`beyond`: what was known is cleaned away, so there must be a checkpoint of a later version than this."""
        state = checkpoint_file.newest(self._objects, self.read_checkpoint)
        if beyond is not None and (state is None or state.version <= beyond):
            raise self._refusal(f"the log was cleaned past commit {beyond + 1}, and no later checkpoint can be read")
        self._forget()
        if state is not None:
            self.version = self.checkpointed = self.vacuumed = state.version
            self.table, self.txns = state.table, state.txns
            self._files = {file.path: file for file in state.files}
            self._retired = {retired.path: retired for retired in state.retired}
        self.refresh()
        self._check_gap()
        if self.version < 0 and any(self._objects.list("_delta_log")):
            self.refresh()                         # or it has come since we looked for it
            if self.version < 0:
                raise self._refusal("commit 0 is missing, and no checkpoint can be read in its place")

    def _check_gap(self) -> None:
        """Opening lists nothing, so it looks one commit further: where one is missing it must not begin to fill the gap."""
        if self._objects.get(log_path(self.version + 2)) is None:
            return
        if self._objects.get(log_path(self.version + 1)) is None:
            raise self._refusal(f"commit {self.version + 1} is missing, but there are later ones")
        self.refresh()                             # somebody was quick

    def _decoded(self, body: bytes) -> Commit:
        commit: Commit = self._understood(lambda: decode(self.layout, self.version + 1, body))
        return commit

    def _understood(self, read: Callable[[], Any]) -> Any:
        try:
            return read()
        except NewerFormatError as error:
            raise NewerTableError(self._objects.uri, str(error), "update this process") from error
        except NotOursError as error:
            raise self._refusal(str(error)) from error

    def _refusal(self, problem: str) -> TableRefusedError:
        return TableRefusedError(self._objects.uri, problem, f"restore {self.layout.name} from a backup, or move away what does not belong to it")


def _now_s() -> float:
    return time.clock_gettime(_CLOCK)

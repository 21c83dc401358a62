"""Upkeep off the append path: a thread of a writer's that merges, checkpoints, cleans and vacuums as commits pile up."""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields, replace
from typing import Final, TypeVar

import pyarrow as pa

from store.delta import checkpoint, compaction, head_runs, log_cleanup, removal_mark, saved_policy
from store.delta import vacuum as vacuuming
from store.delta.checkpoint import State
from store.delta.compaction import Run
from store.delta.head_runs import HeadRun
from store.delta.heads import Heads
from store.delta.log import Log
from store.delta.policies import Policies
from store.delta.reader import others
from store.delta.segment_files import SegmentFiles
from store.errors import AccessDeniedError, StorageError, StoreError, TableRefusedError
from store.observer import Checkpointed, Cleaned, Compacted, Failed, Observer, Vacuumed
from store.storage.objects import Objects

LOOK_EVERY: Final = 16
"""Commits between two looks at what is due."""
CHECKPOINT_EVERY: Final = 500
"""Commits between two checkpoints."""
CHECKPOINT_ROWS: Final = 1 << 17
"""New events after which there is a checkpoint all the same, with a heads file: so many are not in one, at most."""
CLEAN_EVERY_S: Final = 60.0
REMOVE_EVERY_S: Final = 86_400.0
"""Once a day what streams hide is looked for, which reads of their files a few columns; whichever process does it."""
BEHIND: Final = 400
"""Commits since the last finished look, from which on upkeep counts as behind."""
RETENTION_S: Final = 3600.0
"""So long a replaced file stays for readers of an older state."""
KEPT_FILES: Final = 20_000
"""So many replaced files stay at most: they are entries of every checkpoint."""


_LEFT: Final = "upkeep is left to who has it from now on; open_store(…, upkeep=False) says so at once"

Measured = TypeVar("Measured", Checkpointed, Cleaned, Vacuumed)


@dataclass(frozen=True, slots=True)
class Maintained:
    """What upkeep did, or would do."""

    compacted: list[Compacted]
    checkpointed: Checkpointed
    cleaned: Cleaned
    vacuumed: Vacuumed


def summed(done: Sequence[Measured]) -> Measured:
    """The same work on several logs as one piece of it: the sums of all numbers."""
    return replace(done[0], **{field.name: sum(getattr(one, field.name) for one in done) for field in fields(done[0]) if field.name != "table"})


class Upkeep:
    """Compaction, checkpoints, clean-up and vacuum of one log, on demand and by itself. Several at once are harmless."""

    def __init__(
        self,
        objects: Objects,
        log: Log,
        files: SegmentFiles,
        heads: Heads,
        policies: Policies,
        observer: Observer,
        apply_retention: Callable[[], None] = lambda: None,
        by_itself: bool = True,
    ) -> None:
        """`apply_retention`: take out of the log what its streams hide, where it is worth it; asked if something is said of streams.

        `by_itself`: without it only what is demanded is done.
        """
        self._apply_retention = apply_retention
        self._objects, self._log, self._files, self._heads, self._policies, self._observer = objects, log, files, heads, policies, observer
        self._by_itself = by_itself
        self._commits = self._looked_at = 0
        self._cleaned_s = time.monotonic()
        self._remove_from_s = -math.inf
        self._wake = threading.Event()
        self._stopped = False
        self._thread: threading.Thread | None = None

    def committed(self, events: int) -> bool:
        """Hear of a commit; called on the committer's thread, so it only counts and wakes. Is upkeep behind?"""
        if not self._by_itself:                    # then nobody here catches up, and waiting for it would not help
            return False
        self._commits += 1
        if self._commits % LOOK_EVERY == 0 or events >= CHECKPOINT_ROWS:
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="alluvium-upkeep", daemon=True)
                self._thread.start()
            self._wake.set()
        return self._commits - self._looked_at > BEHIND

    # On demand --------------------------------------------------------------------------------------------------

    def compact(self, dry_run: bool = False) -> list[Compacted]:
        self._log.refresh()
        head = self._log.head                      # what is appended meanwhile is for later: with busy writers this would never end

        def choose() -> Run:
            return compaction.mergeable([segment for segment in self._log.segments() if segment.last <= head])

        if not dry_run:
            return self._merge(choose)
        chosen = choose()
        return [compaction.planned(self._log.version, chosen)] if chosen else []

    def checkpoint(self, dry_run: bool = False) -> Checkpointed:
        if dry_run:
            self._log.refresh()
            return Checkpointed(self._log.version, 0, 0, 0, 0.0)
        began = time.monotonic()
        with self._log.lock:
            self._log.refresh()
            state = self._log.state()
            self._heads.turn_page(state.head)
            policy = self._policies.due(state.head)
        data_bytes = checkpoint.write(self._objects, state)
        self._log.checkpointed = state.version
        if policy is not None:
            saved_policy.write(self._objects, policy)
            self._policies.saved_version = policy.version
        streams, head_bytes = self._save_heads(state)
        done = Checkpointed(state.version, data_bytes, streams, head_bytes, time.monotonic() - began)
        self._observer.record(done)
        return done

    def clean_log(self, older_than_s: float | None = None, dry_run: bool = False) -> Cleaned:
        age_s = log_cleanup.YOUNGEST_S if older_than_s is None else older_than_s
        done = log_cleanup.clean(self._objects, age_s, _now_ms(), dry_run)
        if not dry_run:
            self._observer.record(done)
        return done

    def vacuum(self, retention_s: float = RETENTION_S, dry_run: bool = False) -> Vacuumed:
        self._log.refresh()
        until_ms = vacuuming.expired(self._log, retention_s, KEPT_FILES, _now_ms()) or 0
        done = vacuuming.vacuum(self._objects, self._log, until_ms, retention_s, _now_ms(), dry_run)
        if not dry_run:
            self._observer.record(done)
        return done

    def maintain(self, dry_run: bool = False) -> Maintained:
        return Maintained(self.compact(dry_run), self.checkpoint(dry_run), self.clean_log(dry_run=dry_run), self.vacuum(dry_run=dry_run))

    def close(self) -> None:
        self._stopped = True
        self._wake.set()
        if self._thread is not None:
            self._thread.join()

    # By itself --------------------------------------------------------------------------------------------------

    def _run(self) -> None:
        while not self._stopped and self._by_itself:
            self._wake.wait()
            self._wake.clear()
            commits = self._commits
            try:
                with self._objects.duty() as ours:  # of several writers on a machine one is enough
                    if ours:
                        self._look()
            except AccessDeniedError as error:     # it will not be otherwise at the next look
                self._by_itself = False
                self._observer.record(Failed("upkeep", f"{error}; {_LEFT}"))
            except StoreError as error:            # the log is whole without it: say so, and try again at the next look
                self._observer.record(Failed("upkeep", str(error)))
            self._looked_at = commits
            pa.default_memory_pool().release_unused()  # what merging took is not needed again soon

    def _look(self) -> None:
        self._merge(lambda: [] if self._stopped else compaction.due(self._log.segments()))
        if not self._stopped and self._checkpoint_is_due():
            self.checkpoint()
        if not self._stopped and time.monotonic() - self._cleaned_s > CLEAN_EVERY_S:
            self._cleaned_s = time.monotonic()
            self.clean_log()
            self._remove_if_due()
            if (until_ms := vacuuming.expired(self._log, RETENTION_S, KEPT_FILES, _now_ms())) is not None:
                self._observer.record(vacuuming.expire(self._objects, self._log, until_ms))

    def _remove_if_due(self) -> None:
        """By the mark of whoever did it last, since many a process lives for less than a day. Set afterwards: who is killed leaves it to the next."""
        if time.monotonic() < self._remove_from_s or not self._is_ruled():
            return
        marked_s = removal_mark.read(self._objects)
        waited_s = 0.0 if marked_s is None else time.time() - marked_s
        if not 0 <= waited_s <= REMOVE_EVERY_S:    # or it was set by a clock that goes ahead
            self._apply_retention()
            marked_s, waited_s = None, 0.0
        if marked_s is None:                       # what is said for the first time can be taken back for a day
            removal_mark.write(self._objects, time.time())
        self._remove_from_s = time.monotonic() + REMOVE_EVERY_S - waited_s

    def _is_ruled(self) -> bool:
        with self._log.lock:
            return bool(self._policies.newest())

    def _checkpoint_is_due(self) -> bool:
        with self._log.lock:
            if self._heads.uncovered(self._log.head) >= CHECKPOINT_ROWS:
                return True
        if self._log.version - self._log.checkpointed < CHECKPOINT_EVERY:
            return False
        self._log.checkpointed = max(self._log.checkpointed, checkpoint.hinted(self._objects) or -1)   # another's will do
        return self._log.version - self._log.checkpointed >= CHECKPOINT_EVERY

    def _save_heads(self, state: State) -> tuple[int, int]:
        """The heads file of a state that is durable by its checkpoint. Streams and bytes written."""
        chain = head_runs.load(self._objects, state.head)
        covered = chain[-1].until if chain else 0
        streams = size_bytes = 0
        if covered < state.head:
            chain = head_runs.add(chain, self._derived(covered, state))
            streams, size_bytes = chain[-1].table.num_rows, head_runs.write(self._objects, chain[-1])
            chain = head_runs.load(self._objects, state.head)        # mapped files in place of memory
        with self._log.lock:
            self._heads.install(chain)
        self._objects.delete([entry.path for entry in head_runs.superseded(self._objects, chain)])
        return streams, size_bytes

    def _derived(self, after: int, state: State) -> HeadRun:
        """From the files of that state, or of a later one if they are gone: the same positions hold the same events."""
        try:
            return self._heads.derive(after, state.head, state.segments)
        except AccessDeniedError:
            raise
        except (StorageError, TableRefusedError) as error:
            return self._heads.derive(after, state.head, others(state.segments, self._log.live, error))

    def _merge(self, choose: Callable[[], Run]) -> list[Compacted]:
        merged = []
        while chosen := choose():
            try:
                done = compaction.merge(self._objects, self._log, self._files, chosen)
            except AccessDeniedError:
                raise
            except (StorageError, TableRefusedError) as error:
                others(chosen, self._log.live, error)  # another merged and vacuumed them: choose anew
                continue
            if done is not None:
                self._observer.record(done)
                merged.append(done)
        return merged


def _now_ms() -> int:
    return time.time_ns() // 1_000_000

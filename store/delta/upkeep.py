"""Upkeep off the append path: a thread of a writer's that merges files and writes checkpoints as commits pile up."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Final

from store.delta import checkpoint, compaction
from store.delta.compaction import Run
from store.delta.log import Log
from store.delta.objects import Objects
from store.delta.segment_files import SegmentFiles
from store.errors import StoreError
from store.observer import Checkpointed, Compacted, Failed, Observer

LOOK_EVERY: Final = 16
"""Commits between two looks at what is due."""
CHECKPOINT_EVERY: Final = 500
"""Commits between two checkpoints."""


class Upkeep:
    """Compaction and checkpoints of one log, on demand and by itself."""

    def __init__(self, objects: Objects, log: Log, files: SegmentFiles, observer: Observer) -> None:
        self._objects, self._log, self._files, self._observer = objects, log, files, observer
        self._commits = 0
        self._wake = threading.Event()
        self._stopped = False
        self._thread: threading.Thread | None = None

    def committed(self) -> None:
        """Hear of a commit; called on the committer's thread, so it only counts and wakes."""
        self._commits += 1
        if self._commits % LOOK_EVERY == 0:
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="alluvium-upkeep", daemon=True)
                self._thread.start()
            self._wake.set()

    def compact(self) -> list[Compacted]:
        """Merge until only whole runs are left. Several at once are harmless."""
        self._log.refresh()
        return self._merge(lambda: compaction.mergeable(self._log.segments()))

    def checkpoint(self) -> Checkpointed:
        """Write a checkpoint of the newest commit."""
        began = time.monotonic()
        self._log.refresh()
        version = self._log.version
        checkpoint.write(self._objects, version)
        self._log.checkpointed = version
        done = Checkpointed(version, time.monotonic() - began)
        self._observer.record(done)
        return done

    def close(self) -> None:
        self._stopped = True
        self._wake.set()
        if self._thread is not None:
            self._thread.join()

    def _run(self) -> None:
        while not self._stopped:
            self._wake.wait()
            self._wake.clear()
            try:
                self._merge(lambda: [] if self._stopped else compaction.due(self._log.segments()))
                if not self._stopped and self._log.version - self._log.checkpointed >= CHECKPOINT_EVERY:
                    self.checkpoint()
            except StoreError as error:            # the log is whole without it: say so, and try again at the next look
                self._observer.record(Failed("upkeep", str(error)))

    def _merge(self, choose: Callable[[], Run]) -> list[Compacted]:
        merged = []
        while chosen := choose():
            done = compaction.merge(self._objects, self._log, self._files, chosen)
            if done is not None:
                self._observer.record(done)
                merged.append(done)
        return merged

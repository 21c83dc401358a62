"""The table as this process sees it: opened when it is needed, looked at again after a while, mended before it is written to."""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Callable
from typing import Final

from store.errors import AccessDeniedError, NewerTableError, StorageError, StoreError, TableRefusedError
from store.observer import Failed, Observer
from store.snapshots.index import Index
from store.snapshots.snapshot import LAYOUT
from store.storage.objects import Objects
from store.tables.files import File
from store.tables.quarantine import new_folder
from store.tables.replacement import Replacement, replace
from store.tables.restart import restart
from store.tables.sorted_files import DamagedFileError, SortedFiles
from store.tables.table_log import TableLog

FRESH_S: Final = 1.0
"""An answer may lack what other processes saved within this time: so often at most the log is looked at."""
MENDINGS: Final = 5
"""Each may meet a table that another process has just damaged, or just mended."""


class SnapshotTable:
    """Reading it never raises: a snapshot that cannot be read is none. What is wrong the observer is told, and the next writer mends it."""

    def __init__(self, objects: Objects, observer: Observer, fresh_s: float, clock_s: Callable[[], float] = time.monotonic) -> None:
        self.objects = objects
        self.files = SortedFiles(objects, LAYOUT, key="stream_id")
        self._observer, self._fresh_s, self._clock_s = observer, fresh_s, clock_s
        self._lock = threading.RLock()
        self._log: TableLog | None = None
        self._looked_s = -math.inf
        self._damaged: dict[str, File] = {}
        self._refused = set[str]()
        self._index: tuple[object, Index] = (None, Index([]))

    # Reading --------------------------------------------------------------------------------------------------

    def index(self) -> Index:
        """The files that can be read, as the last look showed them; none where there is no table, or none that is ours."""
        with self._lock:
            if self._clock_s() - self._looked_s >= self._fresh_s:
                try:
                    self._look()
                except StoreError as error:
                    self.tell(error)
            return self._indexed()

    def known(self) -> TableLog | None:
        """The log as the last look showed it; None where it cannot be read."""
        self.index()
        return self._log

    def met(self, error: DamagedFileError) -> None:
        """A file could not be read. If it is live still, and not only replaced since the last look, it is passed by from now on."""
        with self._lock:
            try:
                log = self._look()
            except StoreError as failure:
                self.tell(failure)
            else:
                if not any(file.path == error.file.path for file in log.files()):
                    return
            self._damaged[error.file.path] = error.file
            self.tell(error)

    def tell(self, error: Exception) -> None:
        """Of each thing that we may not do once: it will be refused the next time, too."""
        if isinstance(error, AccessDeniedError):
            if error.action in self._refused:
                return
            self._refused.add(error.action)
        self._observer.record(Failed("snapshots", str(error)))

    # Writing --------------------------------------------------------------------------------------------------

    def writable(self) -> TableLog:
        """The log in its newest state, of version -1 where there is none. What is damaged is out of the way: nothing is destroyed.

        StorageError: storage refuses. NewerTableError: the table is whole, but not for us.
        """
        for _ in range(MENDINGS):
            try:
                return self._mended()
            except NewerTableError:
                raise
            except TableRefusedError as error:
                self.tell(error)
                folder = restart(self.objects, LAYOUT)
                self._observer.record(Failed("snapshots", f"{self.objects.uri} begins anew without snapshots; its old log lies in {folder}"))
                with self._lock:
                    self._log = None
        raise StorageError(f"{self.objects.uri} cannot be mended: something goes on damaging it; move it away")

    # Below ----------------------------------------------------------------------------------------------------

    def _look(self) -> TableLog:
        self._looked_s = self._clock_s()           # also if it fails: nobody asks a broken disk at every call
        if self._log is None:
            self._log = TableLog(self.objects, LAYOUT)
        else:
            self._log.refresh()
        return self._log

    def _indexed(self) -> Index:
        if self._log is None:
            return Index([])
        with self._log.lock:
            state = (self._log, self._log.version, self._log.table, len(self._damaged))
            if self._index[0] != state:
                self._index = state, Index(file for file in self._log.files() if file.path not in self._damaged)
        return self._index[1]

    def _mended(self) -> TableLog:
        with self._lock:
            log = self._look()
            live = {file.path for file in log.files()}
            damaged = [file for path, file in self._damaged.items() if path in live]
        if damaged:
            folder = new_folder()
            for file in damaged:
                if (body := self.objects.get(file.path)) is not None:
                    self.objects.put(f"{folder}/{file.path}", body)
            replace(self.objects, log, Replacement(damaged, [], "FSCK", data_change=True), log.vacuumed)
        with self._lock:
            live = {file.path for file in log.files()}
            self._damaged = {path: file for path, file in self._damaged.items() if path in live}
        return log

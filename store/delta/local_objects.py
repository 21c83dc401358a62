"""A directory as storage. Every write is durable, with its name, before it is answered."""

from __future__ import annotations

import errno
import fcntl
import os
import random
import threading
import time
import uuid
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, Final

import pyarrow as pa

from store.delta.objects import Entry
from store.errors import OutcomeUnknownError, StorageError, StoreClosedError

TURN_PATIENCE_S: Final = 5.0
_NO_LINKS: Final = (errno.EPERM, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS)


class LocalObjects:
    """See `Objects`. After a failed fsync nothing is written any more: the kernel may have dropped the data and say so once only."""

    def __init__(self, root: Path) -> None:
        self._root = os.path.abspath(root)
        self.uri = self._root
        self._directories: dict[str, int] = {}
        self._lock = threading.Lock()
        self._fsync_failed = False

    def put(self, path: str, data: bytes | memoryview | pa.Buffer) -> None:
        directory = self._directory(os.path.dirname(self._full(path)))
        self._write(self._full(path), data)
        self._fsync(directory, path)

    def put_if_absent(self, path: str, data: bytes) -> bool:
        full = self._full(path)
        folder = os.path.dirname(full)
        directory = self._directory(folder)
        temporary = f"{folder}/.{uuid.uuid4().hex}.tmp"
        self._write(temporary, data)
        try:
            os.link(temporary, full)               # atomic, and fails if the name is taken
        except FileExistsError:
            return False
        except OSError as error:
            remedy = ": put the warehouse on a file system with hard links" if error.errno in _NO_LINKS else ""
            raise StorageError(f"cannot create {full} ({error.strerror}){remedy}") from error
        finally:
            with suppress(OSError):
                os.unlink(temporary)
        try:
            self._fsync(directory, path)
        except StorageError as error:
            raise OutcomeUnknownError(f"{full} is there, but perhaps not for good ({error}): open the store and append the same again") from error
        return True

    def get(self, path: str) -> bytes | None:
        try:
            with open(self._full(path), "rb") as file:
                return file.read()
        except FileNotFoundError:
            return None
        except OSError as error:
            raise StorageError(f"cannot read {self._full(path)} ({error.strerror})") from error

    def open(self, path: str) -> pa.NativeFile:
        try:
            return pa.memory_map(self._full(path))
        except OSError as error:
            raise StorageError(f"cannot read {self._full(path)} ({error})") from error

    def list(self, prefix: str) -> Iterator[Entry]:
        found = []
        for folder, folders, names in os.walk(self._full(prefix)):
            folders[:] = [name for name in folders if not name.startswith((".", "_turn"))]
            for name in names:
                if not name.startswith("."):
                    with suppress(FileNotFoundError):  # removed since it was listed
                        status = os.stat(os.path.join(folder, name))
                        path = os.path.relpath(os.path.join(folder, name), self._root)
                        found.append(Entry(path, status.st_size, status.st_mtime_ns // 1_000_000))
        yield from sorted(found)

    def delete(self, paths: Sequence[str]) -> None:
        for path in paths:
            with suppress(FileNotFoundError):
                os.unlink(self._full(path))

    def sync(self, path: str) -> None:
        full = self._full(path)
        file = os.open(full, os.O_RDONLY)
        try:
            self._fsync(file, path)
        finally:
            os.close(file)
        self._fsync(self._directory(os.path.dirname(full)), path)

    @contextmanager
    def turn(self) -> Iterator[bool]:
        """A turnstile of two locks: who has just finished must queue again behind the one that waits at the gate."""
        folder = f"{self._root}/_turn"
        os.makedirs(folder, exist_ok=True)
        patience = time.monotonic() + TURN_PATIENCE_S
        queue = _lock(f"{folder}/queue", patience)
        try:
            turn = _lock(f"{folder}/turn", patience)
        finally:
            _unlock(queue)
        try:
            yield True
        finally:
            _unlock(turn)

    def location(self, path: str) -> str:
        return self._full(path)

    def storage_options(self) -> Mapping[str, str]:
        return {}

    def filesystem(self) -> Any:
        return None

    def close(self) -> None:
        with self._lock:
            for directory in self._directories.values():
                os.close(directory)
            self._directories.clear()

    def _full(self, path: str) -> str:
        # A log from elsewhere may name any file: it must not lead us out of the warehouse.
        if path.startswith("/") or ".." in path.split("/"):
            raise ValueError(f"{path!r} does not lie below the table")
        return f"{self._root}/{path}"

    def _write(self, full: str, data: bytes | memoryview | pa.Buffer) -> None:
        """A new file with durable contents; its name is durable once the directory is synced."""
        if self._fsync_failed:
            raise StoreClosedError("an fsync failed, so what was written may be lost: mend the disk and open the store again")
        try:
            file = os.open(full, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o666)
            try:
                rest = memoryview(data)
                while rest:
                    rest = rest[os.write(file, rest) :]
                self._fsync(file, full)
            finally:
                os.close(file)
        except OSError as error:
            with suppress(OSError):
                os.unlink(full)
            raise StorageError(f"cannot write {full} ({error.strerror}): nothing was committed") from error

    def _fsync(self, file: int, path: str) -> None:
        try:
            os.fsync(file)
        except OSError as error:
            self._fsync_failed = True
            raise StorageError(f"fsync of {path} failed ({error.strerror})") from error

    def _directory(self, folder: str) -> int:
        """The open directory, made if absent. Kept open: it is synced at every write."""
        directory = self._directories.get(folder)
        if directory is None:
            with self._lock:
                if (directory := self._directories.get(folder)) is None:
                    self._make(folder)
                    directory = self._directories[folder] = os.open(folder, os.O_RDONLY)
        return directory

    def _make(self, folder: str) -> None:
        if os.path.isdir(folder):
            return
        parent = os.path.dirname(folder)
        self._make(parent)
        with suppress(FileExistsError):
            os.mkdir(folder)
        entry = os.open(parent, os.O_RDONLY)
        try:
            self._fsync(entry, parent)             # a new directory lasts only once its parent is synced
        finally:
            os.close(entry)


def _lock(path: str, patience: float) -> int | None:
    """The locked file; None when patience ends: the lock is for fairness only, and its owner may be stopped for ever."""
    file = os.open(path, os.O_RDWR | os.O_CREAT, 0o666)
    pause_s = 0.0002
    while True:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return file
        except BlockingIOError:
            if time.monotonic() > patience:
                os.close(file)
                return None
            time.sleep(random.uniform(0.5, 1.0) * pause_s)
            pause_s = min(0.002, pause_s * 1.5)


def _unlock(file: int | None) -> None:
    if file is not None:
        os.close(file)                             # closing the only descriptor of an open file frees its lock

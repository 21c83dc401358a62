"""A directory as storage. Every write is durable, with its name, before it is answered."""

from __future__ import annotations

import errno
import fcntl
import os
import random
import threading
import time
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, Final

import pyarrow as pa

from store.delta.objects import Entry
from store.delta.places import inside
from store.errors import OutcomeUnknownError, StorageError, StoreClosedError

TURN_PATIENCE_S: Final = 5.0
_HIDDEN: Final = (".", "_turn")
_NO_LINKS: Final = (errno.EPERM, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS)
_NO_ANSWER: Final = (errno.EIO, errno.ETIMEDOUT)
"""Of a network file system, which may have made the link all the same."""


class LocalObjects:
    """See `Objects`. After a failed fsync nothing is written any more: the kernel may have dropped the data and say so once only."""

    def __init__(self, root: Path) -> None:
        self._root = os.path.abspath(root)
        self.uri = self._root
        self._directories: dict[str, int] = {}
        self._lock = threading.Lock()
        self._fsync_failed = False

    def put(self, path: str, data: bytes | memoryview | pa.Buffer) -> None:
        full, directory = self._place(path)
        self._write(full, data)
        self._fsync(directory, path)

    def put_if_absent(self, path: str, data: bytes) -> bool:
        full, directory = self._place(path)
        temporary = f"{os.path.dirname(full)}/.{uuid.uuid4().hex}.tmp"
        self._write(temporary, data)
        try:
            os.link(temporary, full)               # atomic, and fails if the name is taken
        except FileExistsError:
            return False
        except OSError as error:
            raise _not_linked(full, error) from error
        finally:
            with suppress(OSError):
                os.unlink(temporary)
        try:
            self._fsync(directory, path)
        except StorageError as error:
            raise OutcomeUnknownError(f"{full} is there, but perhaps not for good ({error}): open the store and append the same again") from error
        return True

    def replace(self, path: str, data: bytes | memoryview | pa.Buffer) -> None:
        full, directory = self._place(path)
        temporary = f"{os.path.dirname(full)}/.{uuid.uuid4().hex}.tmp"
        self._write(temporary, data)
        with _told("replace", full):
            os.rename(temporary, full)
        self._fsync(directory, path)

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
        return self._listed(prefix, lambda name: not name.startswith(_HIDDEN))

    def leftovers(self) -> Iterator[Entry]:
        return self._listed("", lambda name: name.startswith(".") and name.endswith(".tmp"))

    def delete(self, paths: Sequence[str]) -> None:
        for full in map(self._full, paths):
            with _told("delete", full), suppress(FileNotFoundError):
                os.unlink(full)

    def sync(self, path: str) -> None:
        full, directory = self._place(path)
        with _told("sync", full):
            file = os.open(full, os.O_RDONLY)
            try:
                self._fsync(file, path)
            finally:
                os.close(file)
        self._fsync(directory, path)

    @contextmanager
    def turn(self) -> Iterator[bool]:
        """A turnstile of two locks: who has just finished must queue again behind the one that waits at the gate."""
        folder = f"{self._root}/_turn"
        with suppress(StorageError):               # without its lock files a writer goes on, unfairly
            self._directory(folder)
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

    def _listed(self, prefix: str, wanted: Callable[[str], bool]) -> Iterator[Entry]:
        found = []
        with _told("list", self._full(prefix)):
            for folder, folders, names in os.walk(self._full(prefix), onerror=_unlisted):
                folders[:] = [name for name in folders if not name.startswith(_HIDDEN)]
                for full in (os.path.join(folder, name) for name in names if wanted(name)):
                    with suppress(FileNotFoundError):  # removed since it was listed
                        status = os.stat(full)
                        found.append(Entry(os.path.relpath(full, self._root), status.st_size, status.st_mtime_ns // 1_000_000))
        yield from sorted(found)

    def _full(self, path: str) -> str:
        return f"{self._root}/{inside(path)}"

    def _place(self, path: str) -> tuple[str, int]:
        """The full name of a file to write, and its open directory."""
        if self._fsync_failed:
            raise StoreClosedError("an fsync failed, so what was written may be lost: mend the disk and open the store again")
        full = self._full(path)
        return full, self._directory(os.path.dirname(full))

    def _write(self, full: str, data: bytes | memoryview | pa.Buffer) -> None:
        """A new file with durable contents; its name is durable once the directory is synced."""
        with _told("write", full):
            file = os.open(full, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o666)
            try:
                rest = memoryview(data)
                while rest:
                    rest = rest[os.write(file, rest) :]
                self._fsync(file, full)
            except BaseException:
                with suppress(OSError):
                    os.unlink(full)
                raise
            finally:
                os.close(file)

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
            with self._lock, _told("make", folder):
                if (directory := self._directories.get(folder)) is None:
                    self._make(folder)
                    directory = self._directories[folder] = os.open(folder, os.O_RDONLY)
        return directory

    def _make(self, folder: str) -> None:
        """Sync the name of a directory of ours even if it is there: who made it, just now, may not have come to that."""
        parent, there = os.path.dirname(folder), os.path.isdir(folder)
        if there and (not folder.startswith(self._root) or os.path.ismount(folder)):
            return
        if not there:
            self._make(parent)
            with suppress(FileExistsError):
                os.mkdir(folder)
        try:
            entry = os.open(parent, os.O_RDONLY)
        except PermissionError:
            if there:                              # the warehouse lies where we may not look, so none of us made it
                return
            raise
        try:
            self._fsync(entry, parent)
        finally:
            os.close(entry)


@contextmanager
def _told(doing: str, full: str) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise StorageError(f"cannot {doing} {full} ({error.strerror})") from error


def _unlisted(error: OSError) -> None:
    """A directory that cannot be read must not look empty."""
    if not isinstance(error, FileNotFoundError):
        raise error


def _not_linked(full: str, error: OSError) -> StorageError | OutcomeUnknownError:
    if error.errno in _NO_ANSWER:
        return OutcomeUnknownError(f"no answer for {full} ({error.strerror}): append the same events again")
    remedy = ": put the warehouse on a file system with hard links" if error.errno in _NO_LINKS else ""
    return StorageError(f"cannot create {full} ({error.strerror}){remedy}")


def _lock(path: str, patience: float) -> int | None:
    """The locked file; None when patience ends or files cannot be locked here: the lock is for fairness only."""
    file = None
    try:
        file = os.open(path, os.O_RDWR | os.O_CREAT, 0o666)
        pause_s = 0.0002
        while not _taken(file):
            if time.monotonic() > patience:        # its owner may be stopped for ever
                raise TimeoutError
            time.sleep(random.uniform(0.5, 1.0) * pause_s)
            pause_s = min(0.002, pause_s * 1.5)
    except OSError:
        if file is not None:
            os.close(file)
        return None
    return file


def _taken(file: int) -> bool:
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _unlock(file: int | None) -> None:
    if file is not None:
        fcntl.flock(file, fcntl.LOCK_UN)           # closing alone would leave it to a forked child's copy
        os.close(file)

"""A directory as storage. Every write is durable, with its name, before it is answered; no symbolic link in it is followed."""

from __future__ import annotations

import errno
import mmap
import os
import re
import stat
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, suppress
from pathlib import Path
from typing import Any, Final

import pyarrow as pa

from store.errors import OutcomeUnknownError, StorageError, StoreClosedError
from store.storage.folders import Folder, Folders
from store.storage.objects import Entry
from store.storage.places import inside
from store.storage.refusal import refused
from store.storage.turnstile import Turnstile

POLL_S: Final = 0.005
_HIDDEN: Final = (".", "_turn")
_NO_LINKS: Final = (errno.EPERM, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS)
_DENIED: Final = (errno.EACCES, errno.EROFS)
_NO_ANSWER: Final = (errno.EIO, errno.ETIMEDOUT)
"""Of a network file system, which may have made the link all the same."""
TRIALS: Final = 10
"""So often a temporary file is written that is taken away before it has its name."""
_TEMPORARY: Final = re.compile(r"\.[0-9a-f]{32}\.tmp").fullmatch


class LocalObjects:
    """See `Objects`. After a failed fsync nothing is written any more: the kernel may have dropped the data and say so once only."""

    def __init__(self, root: Path) -> None:
        self._folders = Folders(str(root), self._fsync)
        self._turnstile = Turnstile(self._folders)
        self.uri = self._folders.root
        self.poll_s = POLL_S
        self.machine = ""
        self._fsync_failed = False

    def put(self, path: str, data: bytes | memoryview | pa.Buffer) -> None:
        folder, name = self._place(path)
        self._write(folder, name, path, data)
        self._fsync(folder.handle, path)

    def put_if_absent(self, path: str, data: bytes) -> bool:
        folder, name = self._place(path)
        try:
            self._written(folder, path, data, lambda temporary: folder.link(temporary, name))     # atomic, and fails if the name is taken
        except FileExistsError:
            return False
        except OSError as error:
            raise _not_linked(self._full(path), error) from error
        try:
            self._fsync(folder.handle, path)
        except StorageError as error:
            told = f"{self._full(path)} is there, but perhaps not for good ({error})"
            raise OutcomeUnknownError(f"{told}: open the store and append the same again") from error
        return True

    def replace(self, path: str, data: bytes | memoryview | pa.Buffer) -> None:
        folder, name = self._place(path)
        with self._told("replace", path):
            self._written(folder, path, data, lambda temporary: folder.rename(temporary, name))
        self._fsync(folder.handle, path)

    def get(self, path: str) -> bytes | None:
        with self._told("read", path):
            try:
                file = self._opened(path)
            except FileNotFoundError:
                return None
            with open(file, "rb", buffering=0) as reading:
                return reading.readall()

    def get_run(self, paths: Sequence[str]) -> Iterator[bytes]:
        for path in paths:
            if (contents := self.get(path)) is None:
                return
            yield contents

    def open(self, path: str) -> pa.NativeFile:
        with self._told("read", path):
            file = self._opened(path)
            try:
                size_bytes = os.fstat(file).st_size
                contents = mmap.mmap(file, size_bytes, access=mmap.ACCESS_READ) if size_bytes else b""
            finally:
                os.close(file)
        return pa.BufferReader(pa.py_buffer(contents))

    def list(self, prefix: str) -> Iterator[Entry]:
        """Links and pipes are no objects of ours, so they are not listed."""
        yield from self._listed(prefix, lambda name: not name.startswith(_HIDDEN))

    def leftovers(self) -> Iterator[Entry]:
        yield from self._listed("", lambda name: _TEMPORARY(name) is not None)

    def delete(self, paths: Sequence[str]) -> None:
        for path in paths:
            with self._told("delete", path), suppress(FileNotFoundError):
                folder, _, name = inside(path).rpartition("/")
                self._folders.find(folder).remove(name)

    def sync(self, path: str) -> None:
        folder, name = self._place(path)
        with self._told("sync", path):
            file = folder.open(name)
            try:
                self._fsync(file, path)
            finally:
                os.close(file)
        self._fsync(folder.handle, path)

    @contextmanager
    def turn(self) -> Iterator[bool]:
        with self._turnstile.turn():
            yield True

    def location(self, path: str) -> str:
        """StorageError if other libraries would follow a symbolic link there."""
        folder, _, name = inside(path).rpartition("/")
        with self._told("read", path), suppress(FileNotFoundError):
            if self._folders.find(folder).is_link(name):
                raise OSError(errno.ELOOP, os.strerror(errno.ELOOP))
        return self._full(path)

    def storage_options(self) -> Mapping[str, str]:
        return {}

    def filesystem(self) -> Any:
        return None

    def duty(self) -> AbstractContextManager[bool]:
        return self._turnstile.duty()

    def close(self) -> None:
        self._folders.close()

    def _listed(self, prefix: str, wanted: Callable[[str], bool]) -> Sequence[Entry]:
        with self._told("list", prefix):
            return sorted(self._entries(inside(prefix), wanted))

    def _full(self, path: str) -> str:
        return f"{self.uri}/{inside(path)}"

    def _place(self, path: str) -> tuple[Folder, str]:
        """The open directory of a file to write, and the file's name there."""
        if self._fsync_failed:
            raise StoreClosedError("an fsync failed, so what was written may be lost: mend the disk and open the store again")
        folder, _, name = inside(path).rpartition("/")
        with self._told("make", folder):
            return self._folders.made(folder), name

    def _opened(self, path: str) -> int:
        folder, _, name = inside(path).rpartition("/")
        return self._folders.find(folder).open(name)

    def _entries(self, folder: str, wanted: Callable[[str], bool]) -> Iterator[Entry]:
        with suppress(FileNotFoundError):
            for name, status in self._folders.opened(folder).entries():
                path = f"{folder}/{name}" if folder else name
                if stat.S_ISDIR(status.st_mode) and not name.startswith(_HIDDEN):
                    yield from self._entries(path, wanted)
                elif stat.S_ISREG(status.st_mode) and wanted(name):
                    yield _entry(path, status)

    def _written(self, folder: Folder, path: str, data: bytes | memoryview | pa.Buffer, named: Callable[[str], None]) -> None:
        """Write a temporary file, and let it be named; once more, if somebody who purges took it for one that was left: then it had no name yet."""
        for trial in range(TRIALS):
            temporary = f".{uuid.uuid4().hex}.tmp"
            self._write(folder, temporary, path, data)
            try:
                named(temporary)
                return
            except FileNotFoundError:
                if trial == TRIALS - 1:
                    raise
            finally:
                with suppress(OSError):
                    folder.remove(temporary)

    def _write(self, folder: Folder, name: str, path: str, data: bytes | memoryview | pa.Buffer) -> None:
        """A new file with durable contents; its name is durable once the directory is synced."""
        with self._told("write", path):
            file = folder.open(name, os.O_WRONLY | os.O_CREAT | os.O_EXCL)
            try:
                rest = memoryview(data)
                while rest:
                    rest = rest[os.write(file, rest) :]
                self._fsync(file, path)
            except BaseException:
                with suppress(OSError):
                    folder.remove(name)
                raise
            finally:
                os.close(file)

    def _fsync(self, file: int, path: str) -> None:
        try:
            os.fsync(file)
        except OSError as error:
            self._fsync_failed = True
            raise StorageError(f"fsync of {path} failed ({error.strerror})") from error

    @contextmanager
    def _told(self, doing: str, path: str) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            why = error.strerror or str(error)
            if error.errno in (errno.ELOOP, errno.ENOTDIR) and (link := self._folders.link_in(path)) is not None:
                why = f"{link} is a symbolic link, and inside a table none is followed: put what it points to in its place"
            if error.errno in (*_DENIED, errno.EPERM):
                raise refused(doing, f"{self.uri}/{path}", why) from error
            raise StorageError(f"cannot {doing} {self.uri}/{path} ({why})") from error


def _entry(path: str, status: os.stat_result) -> Entry:
    return Entry(path, status.st_size, status.st_mtime_ns // 1_000_000)


def _not_linked(full: str, error: OSError) -> StorageError | OutcomeUnknownError:
    if error.errno in _NO_ANSWER:
        return OutcomeUnknownError(f"no answer for {full} ({error.strerror}): append the same events again")
    if error.errno in _DENIED:
        return refused("create", full, error.strerror)
    remedy = ": put the warehouse on a file system with hard links" if error.errno in _NO_LINKS else ""
    return StorageError(f"cannot create {full} ({error.strerror}){remedy}")

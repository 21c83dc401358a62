"""The directories of one table, opened one below the other, so that no symbolic link in it leads us elsewhere."""

from __future__ import annotations

import errno
import os
import stat
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Final

KEPT: Final = 64
"""Directories that stay open: the log's and those just written to. A table may have thousands."""

_FOLDER: Final = os.O_RDONLY | os.O_DIRECTORY
_NO_LINK: Final = os.O_NOFOLLOW | os.O_NONBLOCK
"""Neither follow a link nor wait for the other end of a pipe."""


class Folder:
    """An open directory; names in it are opened without following links. Its verbs raise OSError.

    It closes when nobody holds it any more, not before: the number of a closed one may at once be that of another.
    """

    __slots__ = ("handle", "lasting")

    def __init__(self, handle: int) -> None:
        self.handle = handle
        self.lasting = False
        """Is its own name durable?"""

    def __del__(self) -> None:
        os.close(self.handle)

    def open(self, name: str, flags: int = os.O_RDONLY) -> int:
        """A regular file's descriptor, which the caller closes."""
        file = os.open(name, flags | _NO_LINK, 0o666, dir_fd=self.handle)
        if not stat.S_ISREG(os.fstat(file).st_mode):
            os.close(file)
            raise OSError(errno.EINVAL, "it is no regular file")
        return file

    def folder(self, name: str) -> Folder:
        return Folder(os.open(name, _FOLDER | _NO_LINK, dir_fd=self.handle))

    def make(self, name: str) -> None:
        with suppress(FileExistsError):
            os.mkdir(name, dir_fd=self.handle)

    def link(self, old: str, new: str) -> None:
        os.link(old, new, src_dir_fd=self.handle, dst_dir_fd=self.handle, follow_symlinks=False)

    def rename(self, old: str, new: str) -> None:
        os.rename(old, new, src_dir_fd=self.handle, dst_dir_fd=self.handle)

    def remove(self, name: str) -> None:
        os.unlink(name, dir_fd=self.handle)

    def is_link(self, name: str) -> bool:
        try:
            return stat.S_ISLNK(os.stat(name, dir_fd=self.handle, follow_symlinks=False).st_mode)
        except FileNotFoundError:
            return False

    def entries(self) -> Iterator[tuple[str, os.stat_result]]:
        """What lies in it, links as links. By a descriptor of its own: two listings by one would share their place in it."""
        reading = self.folder(".")
        with os.scandir(reading.handle) as entries:
            for entry in entries:
                with suppress(FileNotFoundError):  # removed since it was listed
                    yield entry.name, entry.stat(follow_symlinks=False)


class Folders:
    """Finds and makes the directories of the table at `root`. The root may be reached through links; below it none is followed.

    `sync`: makes a directory durable, given its descriptor and its name. Every method raises OSError.
    """

    def __init__(self, root: str, sync: Callable[[int, str], None]) -> None:
        self.root = os.path.abspath(root)
        self._sync = sync
        self._kept: dict[str, Folder] = {}
        self._lock = threading.RLock()

    def find(self, name: str) -> Folder:
        """The directory of that name; "" is the root."""
        folder = self._kept.get(name)
        if folder is None:
            folder = self.opened(name)
            with self._lock:
                folder = self._kept.setdefault(name, folder)
                while len(self._kept) > KEPT:
                    del self._kept[next(iter(self._kept))]
        return folder

    def opened(self, name: str) -> Folder:
        """The same, opened for the caller alone."""
        if not name:
            return Folder(os.open(self.root, _FOLDER))
        above, _, last = name.rpartition("/")
        return self.find(above).folder(last)

    def made(self, name: str) -> Folder:
        """The same, made if absent. Its name is durable, even if it was there: who made it, just now, may not have come to that."""
        folder = self._kept.get(name)
        if folder is None or not folder.lasting:
            with self._lock:
                if name:
                    above, _, last = name.rpartition("/")
                    parent = self.made(above)
                    parent.make(last)
                    self._sync(parent.handle, f"{self.root}/{above}".rstrip("/"))
                else:
                    self._make(self.root)
                folder = self.find(name)
                folder.lasting = True
        return folder

    def link_in(self, path: str) -> str | None:
        """The first part of this path that is a symbolic link."""
        parts = path.split("/")
        return next((part for part in ("/".join(parts[: n + 1]) for n in range(len(parts))) if os.path.islink(f"{self.root}/{part}")), None)

    def close(self) -> None:
        with self._lock:
            self._kept.clear()

    def _make(self, folder: str) -> None:
        """The root, and what is absent of the way to it."""
        parent, there = os.path.dirname(folder), os.path.isdir(folder)
        if there and (folder != self.root or os.path.ismount(folder)):
            return
        if not there:
            self._make(parent)
            with suppress(FileExistsError):
                os.mkdir(folder)
        try:
            above = Folder(os.open(parent, _FOLDER))
        except PermissionError:
            if there:                              # the warehouse lies where we may not look, so none of us made it
                return
            raise
        self._sync(above.handle, parent)

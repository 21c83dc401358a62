"""Storage as it would be without some files: to see what a log says when they are moved away, before they are."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from itertools import takewhile
from typing import Any

import pyarrow as pa

from store.errors import StorageError
from store.storage.objects import Entry, Objects


class Without:
    """Reads as if the hidden objects were not there. It is for reading only."""

    def __init__(self, objects: Objects, hidden: Collection[str]) -> None:
        self._objects, self._hidden = objects, frozenset(hidden)

    def get(self, path: str) -> bytes | None:
        return None if path in self._hidden else self._objects.get(path)

    def get_run(self, paths: Sequence[str]) -> Iterator[bytes]:
        return self._objects.get_run(list(takewhile(lambda path: path not in self._hidden, paths)))

    def open(self, path: str) -> pa.NativeFile:
        if path in self._hidden:
            raise StorageError(f"{path} is left out")
        return self._objects.open(path)

    def list(self, prefix: str) -> Iterator[Entry]:
        return (entry for entry in self._objects.list(prefix) if entry.path not in self._hidden)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._objects, name)

"""Objects as files: what Arrow and DuckDB read at any place, by as few requests as may be."""

from __future__ import annotations

import io
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any, Final

from obstore.fsspec import FsspecStore

from store.storage import connection

READ_AHEAD_BYTES: Final = 1_048_576
"""What one request fetches at least: about what arrives in the time that another request would take."""


class Ranges(io.RawIOBase):
    """One object for random reading: each read is one request, or none within what the last one brought."""

    def __init__(self, fetch: Callable[[int, int], bytes], size: int) -> None:
        self._fetch, self._size = fetch, size
        self._at = self._start = 0
        self._held = b""

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._at

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        self._at = offset + (0, self._at, self._size)[whence]
        return self._at

    def read(self, size: int = -1) -> bytes:
        begin, end = self._at, self._size if size < 0 else min(self._at + size, self._size)
        if begin >= end:
            return b""
        if not self._start <= begin <= end <= self._start + len(self._held):
            self._start = min(begin, max(0, self._size - READ_AHEAD_BYTES))
            until = min(self._size, max(end, self._start + READ_AHEAD_BYTES))
            self._held = self._fetch(self._start, until)
        self._at = end
        return self._held[begin - self._start : end - self._start]


class RemoteFiles(FsspecStore):  # type: ignore[misc]
    """The filesystem that DuckDB is given. It opens the table's files as the store does: same errors, breaker and remembered sizes.

    DuckDB asks four times for each file whether it is there, how large and how old, in every query. The log has named it, and it never
    changes, so none of that is asked of the object store. Whatever else a query names goes the usual way.
    """

    cachable = False                               # fsspec's cache has the endpoint of the environment as it was

    def __init__(self, uri: str, opened: Callable[[str], Ranges]) -> None:
        scheme = uri.partition("://")[0]
        super().__init__(scheme, client_options=connection.client_options(), retry_config=connection.retry_config())
        self._root, self._opened = f"{uri}/", opened

    def glob(self, path: str, **options: Any) -> Any:
        return [path] if self._is_ours(path) else super().glob(path, **options)

    def _open(self, path: str, mode: str = "rb", **options: Any) -> Any:
        if mode == "rb" and self._is_ours(path):
            return self._opened(path.removeprefix(self._root))
        return super()._open(path, mode, **options)

    def size(self, path: str) -> Any:
        return self._opened(path.removeprefix(self._root)).seek(0, io.SEEK_END) if self._is_ours(path) else super().size(path)

    def modified(self, path: str) -> datetime:
        return _NEVER if self._is_ours(path) else super().modified(path)

    def _is_ours(self, path: str) -> bool:
        return path.startswith(self._root) and not any(sign in path for sign in "*?[")


_NEVER: Final = datetime.fromtimestamp(0, UTC)

"""An object store as storage, through obstore. Credentials and endpoint come from the usual environment variables alone."""

from __future__ import annotations

import io
import os
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext, suppress
from typing import Any, Final

import obstore
import pyarrow as pa
from obstore.exceptions import AlreadyExistsError, BaseError
from obstore.fsspec import FsspecStore
from obstore.store import from_url

from store.delta.objects import Entry
from store.delta.places import inside
from store.errors import OutcomeUnknownError, StorageError

READ_AHEAD_BYTES: Final = 1_048_576
"""What one request fetches at least: about what arrives in the time that another request would take."""
_FOREIGN: Final = (BaseError, OSError, NotImplementedError)
_REFUSED_AT_ONCE: Final = re.compile(r" in [\d.]+\S* - Server returned non-2xx status code: 4\d\d")
"""obstore's words for a first request that was refused; after retries it says so, and then an earlier one may have landed."""


class RemoteObjects:
    """See `Objects`. The put of a log file carries `If-None-Match: *`: the store itself lets one writer win."""

    def __init__(self, uri: str) -> None:
        self.uri = uri.rstrip("/")
        try:
            self._store: Any = from_url(self.uri, client_options=_client_options())
        except BaseError as error:
            raise StorageError(f"{self.uri} cannot be used as an object store ({_reason(error)})") from None

    def put(self, path: str, data: bytes | memoryview | pa.Buffer) -> None:
        with self._told("write", path):
            obstore.put(self._store, inside(path), memoryview(data).cast("B"))  # obstore would take signed bytes, as Arrow's are, one by one

    def put_if_absent(self, path: str, data: bytes) -> bool:
        try:
            obstore.put(self._store, inside(path), data, mode="create", use_multipart=False)
        except AlreadyExistsError:
            return False
        except _FOREIGN as error:
            told = f"{self.location(path)} ({_reason(error)})"
            if isinstance(error, NotImplementedError) or _REFUSED_AT_ONCE.search(str(error)):
                raise StorageError(f"cannot write {told}: nothing was committed; check the bucket and the credentials in the environment") from None
            # A time-out or a 503: the object may be there, or arrive later.
            raise OutcomeUnknownError(f"no answer for {told}: append the same events again") from None
        return True

    def get(self, path: str) -> bytes | None:
        with self._told("read", path), suppress(FileNotFoundError):
            return bytes(obstore.get(self._store, inside(path)).bytes())
        return None

    def open(self, path: str) -> pa.NativeFile:
        with self._told("read", path):
            size: int = obstore.head(self._store, inside(path))["size"]
        return pa.PythonFile(_Ranges(self, path, size), mode="r")

    def read_range(self, path: str, start: int, end: int) -> bytes:
        with self._told("read", path):
            return bytes(obstore.get_range(self._store, path, start=start, end=end))

    def list(self, prefix: str) -> Iterator[Entry]:
        with self._told("list", prefix):
            found = [
                Entry(entry["path"], entry["size"], int(entry["last_modified"].timestamp() * 1000))
                for page in obstore.list(self._store, prefix=inside(prefix))
                for entry in page
            ]
        yield from sorted(found)

    def delete(self, paths: Sequence[str]) -> None:
        names = [inside(path) for path in paths]
        with self._told("delete", ", ".join(names[:1])):
            try:
                obstore.delete(self._store, names)
            except FileNotFoundError:              # S3 never says so; a store that does may have stopped there
                for name in names:
                    with suppress(FileNotFoundError):
                        obstore.delete(self._store, name)

    def sync(self, path: str) -> None:
        """An object that was put is durable."""

    def turn(self) -> AbstractContextManager[bool]:
        return nullcontext(False)

    def location(self, path: str) -> str:
        return f"{self.uri}/{inside(path)}"

    def storage_options(self) -> Mapping[str, str]:
        # deltalake reads the same variables, but asks for this one by name before it talks to an http endpoint.
        return {"aws_allow_http": "true"} if _plain_http() else {}

    def filesystem(self) -> Any:
        # Not from fsspec's cache: that one has the endpoint of the environment as it was.
        return FsspecStore(self.uri.partition("://")[0], client_options=_client_options(), skip_instance_cache=True)

    def sweep(self, older_than_ms: int) -> Sequence[Entry]:
        return []

    def duty(self) -> AbstractContextManager[bool]:
        return nullcontext(True)

    def close(self) -> None:
        """Connections close with the process."""

    @contextmanager
    def _told(self, doing: str, path: str) -> Iterator[None]:
        try:
            yield
        except _FOREIGN as error:
            # Without its cause: that text holds addresses, which can be signed.
            raise StorageError(f"cannot {doing} {self.location(path)} ({_reason(error)})") from None


class _Ranges(io.RawIOBase):
    """One object for random reading: each read is one request, or none within what the last one brought."""

    def __init__(self, objects: RemoteObjects, path: str, size: int) -> None:
        self._objects, self._path, self._size = objects, path, size
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
            self._held = self._objects.read_range(self._path, self._start, until)
        self._at = end
        return self._held[begin - self._start : end - self._start]


def _client_options() -> Any:
    return {"allow_http": True} if _plain_http() else None


def _plain_http() -> bool:
    """Does the environment point to an endpoint without TLS, as a test server has?"""
    endpoint = os.environ.get("AWS_ENDPOINT_URL_S3") or os.environ.get("AWS_ENDPOINT_URL") or os.environ.get("AWS_ENDPOINT") or ""
    return endpoint.startswith("http://")


def _reason(error: BaseException) -> str:
    """What failed, without addresses, quotations and bodies of replies: those can hold signatures and keys."""
    said = str(error).split("\n\n")[0]
    said = re.sub(r"(status code: \d{3}[A-Za-z ]*).*", r"\1", said, flags=re.DOTALL)
    return re.sub(r"\w+://\S+|\"[^\"]*\"?", "…", said).strip()

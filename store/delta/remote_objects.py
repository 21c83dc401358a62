"""An object store as storage, through obstore. Credentials and endpoint come from the usual environment variables alone."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext, suppress
from typing import Any

import obstore
import pyarrow as pa
from obstore.exceptions import AlreadyExistsError, BaseError, NotFoundError, PermissionDeniedError, UnauthenticatedError
from obstore.fsspec import FsspecStore
from obstore.store import from_url
from pyarrow.fs import FSSpecHandler, PyFileSystem

from store.delta.objects import Entry
from store.errors import OutcomeUnknownError, StorageError


class RemoteObjects:
    """See `Objects`. The put of a log file carries `If-None-Match: *`: the store itself lets one writer win."""

    def __init__(self, uri: str) -> None:
        self.uri = uri.rstrip("/")
        try:
            self._store: Any = from_url(self.uri, client_options=_client_options())
            self._files = PyFileSystem(FSSpecHandler(self.filesystem()))
        except BaseError as error:
            raise StorageError(f"{self.uri} cannot be used as an object store ({_reason(error)})") from error

    def put(self, path: str, data: bytes | memoryview | pa.Buffer) -> None:
        try:
            obstore.put(self._store, path, bytes(memoryview(data)))
        except BaseError as error:
            raise StorageError(f"cannot write {self.location(path)} ({_reason(error)}): nothing was committed") from error

    def put_if_absent(self, path: str, data: bytes) -> bool:
        try:
            obstore.put(self._store, path, data, mode="create", use_multipart=False)
        except AlreadyExistsError:
            return False
        except (PermissionDeniedError, UnauthenticatedError) as error:
            raise StorageError(f"not allowed to write {self.location(path)}: check the credentials in the environment") from error
        except BaseError as error:                 # a time-out or a 503: the object may be there, or arrive later
            raise OutcomeUnknownError(f"no answer for {self.location(path)} ({_reason(error)}): append the same events again") from error
        return True

    def get(self, path: str) -> bytes | None:
        try:
            return bytes(obstore.get(self._store, path).bytes())
        except (NotFoundError, FileNotFoundError):
            return None
        except BaseError as error:
            raise StorageError(f"cannot read {self.location(path)} ({_reason(error)})") from error

    def open(self, path: str) -> pa.NativeFile:
        try:
            return self._files.open_input_file(self.location(path).partition("://")[2])
        except (BaseError, OSError) as error:
            raise StorageError(f"cannot read {self.location(path)} ({_reason(error)})") from error

    def list(self, prefix: str) -> Iterator[Entry]:
        try:
            found = [
                Entry(entry["path"], entry["size"], int(entry["last_modified"].timestamp() * 1000))
                for page in obstore.list(self._store, prefix=prefix)
                for entry in page
            ]
        except BaseError as error:
            raise StorageError(f"cannot list {self.location(prefix)} ({_reason(error)})") from error
        yield from sorted(found)

    def delete(self, paths: Sequence[str]) -> None:
        for path in paths:
            with suppress(NotFoundError, FileNotFoundError):
                try:
                    obstore.delete(self._store, path)
                except BaseError as error:
                    raise StorageError(f"cannot delete {self.location(path)} ({_reason(error)})") from error

    def sync(self, path: str) -> None:
        """An object that was put is durable."""

    def turn(self) -> AbstractContextManager[bool]:
        return nullcontext(False)

    def location(self, path: str) -> str:
        return f"{self.uri}/{path}"

    def storage_options(self) -> Mapping[str, str]:
        # deltalake reads the same variables, but asks for this one by name before it talks to an http endpoint.
        return {"aws_allow_http": "true"} if _plain_http() else {}

    def filesystem(self) -> Any:
        return FsspecStore(self.uri.partition("://")[0], client_options=_client_options())

    def close(self) -> None:
        """Connections close with the process."""


def _client_options() -> Any:
    return {"allow_http": True} if _plain_http() else None


def _plain_http() -> bool:
    """Does the environment point to an endpoint without TLS, as a test server has?"""
    endpoint = os.environ.get("AWS_ENDPOINT_URL_S3") or os.environ.get("AWS_ENDPOINT_URL") or os.environ.get("AWS_ENDPOINT") or ""
    return endpoint.startswith("http://")


def _reason(error: BaseException) -> str:
    """The kind of failure only: the full text of an HTTP error can hold signed addresses."""
    return type(error).__name__

"""An object store as storage, through obstore. Credentials and endpoint come from the usual environment variables alone."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, nullcontext, suppress
from contextvars import copy_context
from functools import lru_cache
from typing import Any, Final, TypeVar

import obstore
import pyarrow as pa
from obstore.exceptions import AlreadyExistsError, BaseError, GenericError, PermissionDeniedError, UnauthenticatedError
from obstore.store import from_url

from store.errors import OutcomeUnknownError, StorageError, StoreError
from store.observer import Observer
from store.storage import connection
from store.storage.breaker import Breaker
from store.storage.machine_turns import MachineTurns
from store.storage.objects import Entry
from store.storage.places import inside
from store.storage.reason import reason
from store.storage.refusal import refused
from store.storage.remote_files import Ranges, RemoteFiles

T = TypeVar("T")

REMEMBERED_SIZES: Final = 16_384
_REFUSED: Final = (PermissionDeniedError, UnauthenticatedError)
_FOREIGN: Final = (BaseError, OSError, NotImplementedError)
_DENIED: Final = "AccessDenied"
"""S3's word in an answer about many objects at once, which is 200 as a whole."""
_ANSWER: Final = re.compile(r"status code: (?!408|429)[34]\d\d|Received redirect")
"""In obstore's words: the store is there and says no. 408 and 429 mean that it could not listen."""
_REFUSED_AT_ONCE: Final = re.compile(r" in [\d.]+\S* - (Server returned non-2xx status code: 4(?!08)\d\d|Received redirect)")
"""obstore's words for a first request that was refused; after retries it says so, and then an earlier one may have landed."""


class RemoteObjects:
    """See `Objects`. The put of a log file carries `If-None-Match: *`: the store itself lets one writer win.

    Each verb is repeated and timed out as `connection` says. StorageUnavailableError from any of them: the store has not
    answered for a while (`Breaker`), and nothing was sent.
    """

    def __init__(self, uri: str, observer: Observer) -> None:
        self.uri = uri.rstrip("/")
        self.poll_s = connection.POLL_S
        self._breaker = Breaker(self.uri, observer, _unanswered)
        self._size = lru_cache(REMEMBERED_SIZES)(self._asked_size)  # what is opened for random reading never changes
        self._turns = MachineTurns(self.uri)
        self._only_creates = False
        self.machine = self._turns.machine
        connection.check_endpoint()
        try:
            self._store: Any = from_url(self.uri, client_options=connection.client_options(), retry_config=connection.retry_config())
            return
        except BaseError as error:
            failed = StorageError(f"{self.uri} cannot be used as an object store ({reason(error)})")
        raise failed

    def put(self, path: str, data: bytes | memoryview | pa.Buffer) -> None:
        view = memoryview(data).cast("B")          # obstore would take signed bytes, as Arrow's are, one by one
        self._ask("write", path, lambda: self._create(path, view))

    def put_if_absent(self, path: str, data: bytes) -> bool:
        place = self.location(path)
        try:
            with self._breaker.call():
                obstore.put(self._store, path, data, mode="create", use_multipart=False)
            return True
        except AlreadyExistsError:
            return False
        except _FOREIGN as error:
            failed = _unwritten(place, error)
        raise failed

    def replace(self, path: str, data: bytes | memoryview | pa.Buffer) -> None:
        view = memoryview(data).cast("B")
        self._ask("replace", path, lambda: obstore.put(self._store, path, view, max_concurrency=connection.UPLOADS_AT_ONCE))

    def get(self, path: str) -> bytes | None:
        def whole() -> bytes | None:
            with suppress(FileNotFoundError):
                return bytes(obstore.get(self._store, path).bytes())
            return None

        return self._ask("read", path, whole)

    def get_run(self, paths: Sequence[str]) -> Iterator[bytes]:
        if len(paths) <= 1:                        # nearly always
            contents: Sequence[bytes | None] = list(map(self.get, paths))
        else:
            with ThreadPoolExecutor(len(paths), "alluvium-looks") as pool:
                asked = [pool.submit(copy_context().run, self.get, path) for path in paths]      # errors tell the operation's ids there, too
                contents = [answer.result() for answer in asked]
        for there in contents:
            if there is None:
                return
            yield there

    def open(self, path: str) -> pa.NativeFile:
        return pa.PythonFile(self.ranges(path), mode="r")

    def ranges(self, path: str) -> Ranges:
        """The object for random reading, as Python does it."""
        return Ranges(lambda start, end: self._range(path, start, end), self._size(path))

    def list(self, prefix: str) -> Iterator[Entry]:
        def found() -> Sequence[Entry]:
            return [
                Entry(entry["path"], entry["size"], int(entry["last_modified"].timestamp() * 1000))
                for page in obstore.list(self._store, prefix=prefix)
                for entry in page
            ]

        yield from sorted(self._ask("list", prefix, found))

    def leftovers(self) -> Iterator[Entry]:
        return iter(())                            # an object appears whole or not at all

    def delete(self, paths: Sequence[str]) -> None:
        names = [inside(path) for path in paths]

        def gone() -> None:
            try:
                obstore.delete(self._store, names)
            except FileNotFoundError:              # S3 never says so; a store that does may have stopped there
                for name in names:
                    with suppress(FileNotFoundError):
                        obstore.delete(self._store, name)

        if names:
            self._ask("delete", names[0], gone)

    def sync(self, path: str) -> None:
        """An object that was put is durable."""

    def turn(self) -> AbstractContextManager[bool]:
        return self._turns.turn()

    def location(self, path: str) -> str:
        return f"{self.uri}/{inside(path)}"

    def storage_options(self) -> Mapping[str, str]:
        return connection.storage_options()

    def filesystem(self) -> Any:
        return RemoteFiles(self.uri, self.ranges)

    def duty(self) -> AbstractContextManager[bool]:
        return nullcontext(True)

    def close(self) -> None:
        self._turns.close()                        # connections close with the process

    def _ask(self, doing: str, path: str, verb: Callable[[], T]) -> T:
        place = self.location(path)
        try:
            with self._breaker.call():
                return verb()
        except _FOREIGN as error:
            failed = _unable(doing, place, error)
        raise failed                               # out here it has no context: the foreign error's text holds addresses, which can be signed

    def _create(self, path: str, view: memoryview) -> None:
        """As who may write does it, or else as who may only create: on condition that it is not there, whole, from the first refusal on.

        What is there already is our own then, put before its reply was lost.
        """
        if not self._only_creates:
            try:
                obstore.put(self._store, path, view, max_concurrency=connection.UPLOADS_AT_ONCE)
                return
            except PermissionDeniedError:
                self._put_new(path, view)
                self._only_creates = True          # it could: so it is the condition that was missed
        else:
            self._put_new(path, view)

    def _put_new(self, path: str, view: memoryview) -> None:
        try:
            obstore.put(self._store, path, view, mode="create", use_multipart=False)
        except AlreadyExistsError:
            if bytes(obstore.get(self._store, path).bytes()) != view:
                raise

    def _range(self, path: str, start: int, end: int) -> bytes:
        return self._ask("read", path, lambda: bytes(obstore.get_range(self._store, path, start=start, end=end)))

    def _asked_size(self, path: str) -> int:
        return self._ask("read", path, lambda: int(obstore.head(self._store, path)["size"]))


def _unwritten(place: str, error: Exception) -> StoreError:
    told = f"{place} ({reason(error)})"
    if isinstance(error, _REFUSED) and _REFUSED_AT_ONCE.search(told):
        return refused("create", place, reason(error))
    if isinstance(error, NotImplementedError) or _REFUSED_AT_ONCE.search(told):
        return StorageError(f"cannot write {told}: nothing was committed; check the bucket, its region and the credentials in the environment")
    # A time-out or a 503: the object may be there, or arrive later.
    return OutcomeUnknownError(f"no answer for {told}: append the same events again")


def _unable(doing: str, place: str, error: Exception) -> StorageError:
    if isinstance(error, _REFUSED) or _DENIED in str(error):
        return refused(doing, place, reason(error))
    return StorageError(f"cannot {doing} {place} ({reason(error)})")


def _unanswered(error: Exception) -> str | None:
    """Why the store is taken to be out of reach; None if the error is an answer of its own."""
    if not isinstance(error, (GenericError, OSError)) or isinstance(error, FileNotFoundError):
        return None
    why = reason(error)
    return None if _ANSWER.search(why) else why

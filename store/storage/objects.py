"""The port to storage: the few verbs that the log needs of a directory or a bucket, and what each promises."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from typing import Any, NamedTuple, Protocol

import pyarrow as pa


class Entry(NamedTuple):
    """An object in a listing. `path` is relative to the table; `modified_ms` since 1970 UTC."""

    path: str
    size_bytes: int
    modified_ms: int


class Objects(Protocol):
    """One table's files. Paths are relative, `/`-separated, made by us and never from user text.

    StorageError: the operation failed and left nothing that counts. Every method may be called from any thread.
    """

    uri: str
    """The table's root, for messages and for other libraries; without credentials."""
    poll_s: float
    """How often one may look for a commit of others: often where a look costs microseconds, less where it is a paid request."""

    def put(self, path: str, data: bytes | memoryview | pa.Buffer) -> None:
        """Create an object that nobody else writes (its name is unique). Durable, with its directories, when it returns."""

    def put_if_absent(self, path: str, data: bytes) -> bool:
        """Create the object whole, or answer False because one of that name is there. Durable when it returns True.

        OutcomeUnknownError: it may or may not be there, now or later; ask again with the same bytes.
        """

    def replace(self, path: str, data: bytes | memoryview | pa.Buffer) -> None:
        """Create the object, or put it whole in the place of the one that is there. Durable when it returns."""

    def get(self, path: str) -> bytes | None:
        """The whole object; None if there is none."""

    def get_run(self, paths: Sequence[str]) -> Iterator[bytes]:
        """These objects, whole and in this order, up to the first that is not there. Where a request takes long, all are asked for at once."""

    def open(self, path: str) -> pa.NativeFile:
        """The object for random reading. StorageError if it is not there."""

    def list(self, prefix: str) -> Iterator[Entry]:
        """Every object below a directory, sorted by path. Nothing, if the directory is absent."""

    def leftovers(self) -> Iterator[Entry]:
        """Temporary files of writes under way, or of crashes: no part of the table, and left out of `list`."""

    def delete(self, paths: Sequence[str]) -> None:
        """Remove these objects; one that is gone already is no error."""

    def sync(self, path: str) -> None:
        """Make durable what another library wrote at `path`."""

    machine: str
    """Which of several machines this is: one name for all who share turns. Empty where whoever writes shares them."""

    def turn(self) -> AbstractContextManager[bool]:
        """Wait for this writer's turn among those of the same machine; for fairness only, `put_if_absent` decides.

        True: others' commits are cheap to look for before trying one's own. False: try at once.
        """

    def location(self, path: str) -> str:
        """The object's full name, as DuckDB, Polars and deltalake are given it."""

    def storage_options(self) -> Mapping[str, str]:
        """What deltalake needs to open `uri`; credentials come from the environment alone."""

    def filesystem(self) -> Any:
        """An fsspec filesystem for DuckDB; None where it needs none."""

    def duty(self) -> AbstractContextManager[bool]:
        """Does the upkeep of this table fall to this caller? True for one caller of the same machine at a time; nobody waits.

        To save work only: two at once do no harm. Where nothing can be locked, and in an object store, it is always True.
        """

    def close(self) -> None: ...

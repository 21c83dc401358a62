"""A store whose events can be erased, and its logs, as an erasure needs them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol, cast

import pyarrow as pa

from store.errors import InvalidEventError
from store.event_store import AsOf, EventStore
from store.rewrite import Rewrites
from store.sql_guard import SqlLimits
from store.submits import Submits


class Log(Protocol):
    """One log in which events can be erased."""

    def head(self) -> int: ...
    def ask(self, query: str, params: Any = None, as_of: AsOf | None = None, *, limits: SqlLimits = ...) -> pa.Table: ...
    @property
    def events(self) -> Rewrites: ...
    @property
    def log_id(self) -> str: ...


class Erases(Submits, Protocol):
    """A store whose events can be erased."""

    def erasable(self) -> Mapping[str, Log]:
        """Its logs by name, ended ones first."""

    def announce(self) -> None:
        """See to it that processes that follow its logs forget, also what they know of logs that have ended."""

    def purge(self) -> list[str]:
        """Remove at once what was replaced: old files of the logs and of the snapshots. What was done, in words."""

    @property
    def warehouse(self) -> str | None:
        """Where its files are; None: in memory."""


def erasable(store: EventStore) -> Erases:
    """InvalidEventError: it is a store of others, and has no way to erase."""
    if not hasattr(store, "erasable"):
        raise InvalidEventError("store", store, "has no way to erase", "give one that `open_store` opened")
    return cast("Erases", store)

"""One log as an auditor sees it: what is stored, as it is stored, whatever readers are shown of it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple, Protocol

import pyarrow as pa


class Commit(NamedTuple):
    """A commit of a log: its Delta version, and the SHA-256 of its bytes, in hex; -1 and empty where there are no commits."""

    version: int
    sha256: str


class Ledger(Protocol):
    """Nothing is read from memory: what matters is what lies in storage."""

    @property
    def log(self) -> str:
        """The id of the log, which a copy of it keeps."""

    def head(self) -> int:
        """The last position now."""

    def stored(self, after: int, until: int) -> Iterator[pa.Table]:
        """The events at the positions (after, until], in order, in bounded memory. Columns of `schema.EVENTS`."""

    def rewrites(self) -> str:
        """Changes when events are rewritten; it may change at other times, too."""

    def husks(self, until: int) -> Iterator[pa.Table]:
        """`position` and `data` of all husks up to that position, in no order."""

    def newest(self) -> Commit:
        """The newest commit."""

    def commit(self, version: int) -> str | None:
        """The SHA-256 of the commit of that version; None: it is cleaned away, or was never there."""

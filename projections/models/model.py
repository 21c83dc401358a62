"""The contract of a read model, in words. `MemoryModel` is the reference, `ReadModel` the real thing."""

from __future__ import annotations

from typing import Protocol

import pyarrow as pa

from projections.models.hold import Hold
from projections.projection import Projection


class Turn(Protocol):
    """One runner's turn at a model: what it read is what it changes, or it changes nothing. After an error take a new one."""

    @property
    def checkpoint(self) -> int:
        """The last position applied; 0 before the first."""

    def rows(self, keys: pa.Table) -> pa.Table:
        """The rows as of this turn that have one of these keys, in the declared columns, in no particular order. `keys`: each once."""

    def commit(self, rows: pa.Table, checkpoint: int, deleted: pa.Table | None = None) -> None:
        """Put these rows (one a key) in the place of those with the same keys, and move the checkpoint, durably, or do neither.

        `deleted`: keys (each once, none of them in `rows`) whose rows go in the same commit, if there are any. The turn goes on from there.
        The checkpoint may stay where it is, for rows that no event made.
        CheckpointMovedError: another runner committed meanwhile. ValueError: the checkpoint would move back.
        """

    def retried(self, stream_id: str) -> int:
        """Up to which position the parked events of that stream have been dealt with; 0: none was."""

    def amend(self, rows: pa.Table, deleted: pa.Table, stream_id: str, until: int) -> None:
        """Put and delete rows as `commit` does, for parked events of that stream up to that position. The checkpoint stays."""

    def halt(self, why: str) -> None:
        """Remember why this run cannot go on, for whoever asks; the next commit forgets it."""


class Readable(Protocol):
    """The rows of one projection, with the checkpoint up to which they hold the log. Readers see one committed state."""

    @property
    def uri(self) -> str:
        """Where it is, for messages."""

    @property
    def projection(self) -> Projection: ...

    def rows(self, *columns: str, limit: int | None = None) -> pa.Table:
        """The rows, in no particular order, with these columns (or all); at most `limit` of them."""

    def checkpoint(self) -> int:
        """The last position applied; 0 before the first."""

    def row_count(self) -> int: ...

    def hold(self) -> Hold | None:
        """Why it does not go on, if so."""

    def look(self) -> Turn:
        """The model as it is now, whether a runner may change it or not."""


class Model(Readable, Protocol):
    """A readable that runners bring up to the log."""

    def turn(self) -> Turn:
        """The same as `look` for a runner. NeedsRebuildError: other code made its rows. PausedError: somebody paused it."""

"""Changes that lie over a turn in memory, until they are committed all at once; or never, when one only wants to see."""

from __future__ import annotations

import pyarrow as pa

from projections.models.model import Turn
from projections.models.tiers import Tier, empty
from projections.projection import Projection


class Overlay:
    """A turn over another one. It reads as if its changes were committed; the other one knows nothing of them before `flush`."""

    def __init__(self, projection: Projection, below: Turn) -> None:
        self._below, self._nothing = below, empty(projection.columns, projection.key)
        self._tiers, self._checkpoint = self._nothing, below.checkpoint

    @property
    def checkpoint(self) -> int:
        return self._checkpoint

    def rows(self, keys: pa.Table) -> pa.Table:
        found, unsaid = self._tiers.find(keys)
        # Where nothing was ever committed there is nothing to be found, which spares a rebuild all its questions.
        return pa.concat_tables([found, self._below.rows(unsaid)]) if len(unsaid) and self._below.checkpoint else found

    def commit(self, rows: pa.Table, checkpoint: int, deleted: pa.Table | None = None) -> None:
        if checkpoint <= self._checkpoint:
            raise ValueError(f"the checkpoint moves forward only: {self._checkpoint} to {checkpoint}")
        self._tiers = self._tiers.put(rows, rows.slice(0, 0) if deleted is None else deleted)
        self._checkpoint = checkpoint

    def retried(self, stream_id: str) -> int:
        return self._below.retried(stream_id)

    def amend(self, rows: pa.Table, deleted: pa.Table, stream_id: str, until: int) -> None:
        self.flush()
        self._below.amend(rows, deleted, stream_id, until)

    def halt(self, why: str) -> None:
        self.flush()                               # what was applied before it is good
        self._below.halt(why)

    def changes(self) -> Tier:
        """The rows that were put, and the keys of those that were deleted."""
        return self._tiers.all()

    def size_bytes(self) -> int:
        return self._tiers.size_bytes()

    def flush(self) -> int:
        """Commit them below, in one commit: how many rows it changed. CheckpointMovedError: another runner was first, and they are void."""
        changed = self.changes()
        if self._checkpoint > self._below.checkpoint:
            self._below.commit(changed.rows, self._checkpoint, changed.gone)
        self._tiers = self._nothing
        return changed.size()

"""A read model in memory: the reference for the real one, and a place to try a projection at."""

from __future__ import annotations

import threading
from dataclasses import dataclass

import pyarrow as pa

from projections.errors import CheckpointMovedError
from projections.projection import Projection


@dataclass(frozen=True, slots=True)
class Held:
    """One committed state; never changed, so readers need no lock."""

    rows: pa.Table
    checkpoint: int


class MemoryModel:
    """Gone with the process. Safe to use from many threads at once, as any read model."""

    def __init__(self, projection: Projection) -> None:
        self.uri = f"memory:{projection.name}/v{projection.version}"
        self.projection = projection
        self._lock = threading.Lock()
        self._held = Held(projection.columns.empty_table(), 0)

    def rows(self, *columns: str, limit: int | None = None) -> pa.Table:
        rows = self._held.rows.slice(0, limit)
        return rows.select(columns) if columns else rows

    def checkpoint(self) -> int:
        return self._held.checkpoint

    def row_count(self) -> int:
        return len(self._held.rows)

    def turn(self) -> MemoryTurn:
        return MemoryTurn(self, self._held)

    def _replace(self, before: Held, after: Held) -> None:
        with self._lock:
            if self._held is not before:
                raise CheckpointMovedError(self.uri, before.checkpoint)
            self._held = after


class MemoryTurn:
    """A turn at a model in memory."""

    def __init__(self, model: MemoryModel, held: Held) -> None:
        self._model, self._held = model, held
        self._key = list(model.projection.key)

    @property
    def checkpoint(self) -> int:
        return self._held.checkpoint

    def rows(self, keys: pa.Table) -> pa.Table:
        return self._held.rows.join(keys, self._key, join_type="left semi")

    def commit(self, rows: pa.Table, checkpoint: int, deleted: pa.Table | None = None) -> None:
        if checkpoint <= self.checkpoint:
            raise ValueError(f"the checkpoint moves forward only: {self.checkpoint} to {checkpoint}")
        kept = self._held.rows
        for gone in (rows, deleted):
            if gone is not None and len(gone):
                kept = kept.join(gone.select(self._key), self._key, join_type="left anti")
        after = Held(pa.concat_tables([kept, rows]).combine_chunks(), checkpoint)
        self._model._replace(self._held, after)
        self._held = after

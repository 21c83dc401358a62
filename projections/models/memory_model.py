"""A read model in memory: the reference for the real one, and a place to try a projection at."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from contextlib import suppress
from typing import NamedTuple

import pyarrow as pa

from projections.errors import CheckpointMovedError, PausedError
from projections.models.hold import HALTED, Hold
from projections.models.model import Model
from projections.models.tiers import Tiers, empty
from projections.projection import Projection


class Held(NamedTuple):
    """One committed state; never changed, so readers need no lock."""

    tiers: Tiers
    checkpoint: int
    hold: Hold | None = None
    retried: Mapping[str, int] = {}


class MemoryModel:
    """Gone with the process. Safe to use from many threads at once, as any read model."""

    def __init__(self, projection: Projection) -> None:
        self.uri = f"memory:{projection.name}/v{projection.version}"
        self.projection = projection
        self._lock = threading.Lock()
        self._held = Held(empty(projection.columns, projection.key), 0)

    @classmethod
    def of(cls, model: Model) -> MemoryModel:
        """A copy in memory of one committed state, to go its own way from there. NeedsRebuildError: other code made its rows."""
        with suppress(PausedError):                # which the copy is not
            model.turn()
        copy = cls(model.projection)
        while True:                                # a runner may commit between the two questions
            checkpoint, rows = model.checkpoint(), model.rows()
            if model.checkpoint() == checkpoint:
                copy._held = Held(copy._held.tiers.put(rows, rows.slice(0, 0)), checkpoint)
                return copy

    def rows(self, *columns: str, limit: int | None = None) -> pa.Table:
        rows = self._held.tiers.all().rows.slice(0, limit)
        return rows.select(columns) if columns else rows

    def checkpoint(self) -> int:
        return self._held.checkpoint

    def row_count(self) -> int:
        return len(self.rows())

    def hold(self) -> Hold | None:
        return self._held.hold

    def look(self) -> MemoryTurn:
        return MemoryTurn(self, self._held)

    def turn(self) -> MemoryTurn:
        return self.look()

    def _replace(self, before: Held, after: Held) -> None:
        with self._lock:
            if self._held is not before:
                raise CheckpointMovedError(self.uri, before.checkpoint)
            self._held = after


class MemoryTurn:
    """A turn at a model in memory."""

    def __init__(self, model: MemoryModel, held: Held) -> None:
        self._model, self._held = model, held

    @property
    def checkpoint(self) -> int:
        return self._held.checkpoint

    def rows(self, keys: pa.Table) -> pa.Table:
        return self._held.tiers.find(keys)[0]

    def commit(self, rows: pa.Table, checkpoint: int, deleted: pa.Table | None = None) -> None:
        if checkpoint < self.checkpoint:
            raise ValueError(f"the checkpoint never moves back: {self.checkpoint} to {checkpoint}")
        tiers = self._held.tiers.put(rows, rows.slice(0, 0) if deleted is None else deleted)
        self._go_on(self._held._replace(tiers=tiers.settled(), checkpoint=checkpoint, hold=None))

    def retried(self, stream_id: str) -> int:
        return self._held.retried.get(stream_id, 0)

    def amend(self, rows: pa.Table, deleted: pa.Table, stream_id: str, until: int) -> None:
        tiers = self._held.tiers.put(rows, deleted).settled()
        self._go_on(self._held._replace(tiers=tiers, retried={**self._held.retried, stream_id: until}))

    def halt(self, why: str) -> None:
        self._go_on(self._held._replace(hold=Hold.now(HALTED, why)))

    def _go_on(self, after: Held) -> None:
        self._model._replace(self._held, after)
        self._held = after

"""One runner's turn at a read model in Delta."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import pyarrow as pa

from projections.errors import CheckpointMovedError, ReadModelRefusedError
from projections.form import key_schema
from projections.projection import Projection
from store import KeyedTurn, TableMovedError, TableRefusedError


class DeltaTurn:
    """See `Turn`. The checkpoint is the commit's `txn` of the projection's name, so any Delta reader can ask for it."""

    def __init__(self, uri: str, projection: Projection, turn: KeyedTurn) -> None:
        self._uri, self._projection, self._turn = uri, projection, turn

    @property
    def checkpoint(self) -> int:
        return self._turn.state.txns.get(self._projection.name, 0)

    def rows(self, keys: pa.Table) -> pa.Table:
        with self._moved():
            return self._turn.rows(keys)

    def commit(self, rows: pa.Table, checkpoint: int, deleted: pa.Table | None = None) -> None:
        if checkpoint <= self.checkpoint:
            raise ValueError(f"the checkpoint moves forward only: {self.checkpoint} to {checkpoint}")
        gone = key_schema(self._projection).empty_table() if deleted is None else deleted
        with self._moved():
            self._turn.commit(rows, gone, {self._projection.name: checkpoint}, marks_of(self._projection))

    @contextmanager
    def _moved(self) -> Iterator[None]:
        with refused(self._uri):
            try:
                yield
            except TableMovedError as error:
                raise CheckpointMovedError(self._uri, self.checkpoint) from error


def marks_of(projection: Projection) -> dict[str, str]:
    """What a table says of the projection whose rows it holds."""
    return {"alluvium.projection": projection.name, "alluvium.version": str(projection.version)}


@contextmanager
def refused(uri: str) -> Iterator[None]:
    """ReadModelRefusedError if what lies there is no such table."""
    try:
        yield
    except TableRefusedError as error:
        raise ReadModelRefusedError(uri, error.problem, _REMEDY) from error


_REMEDY = "if the projection's columns have changed, raise its version, so that it is rebuilt beside; else remove the table, and rebuild it"

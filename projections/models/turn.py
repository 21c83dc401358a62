"""One runner's turn at a read model in Delta."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Final

import pyarrow as pa

from projections.errors import CheckpointMovedError, ReadModelRefusedError
from projections.forms.form import key_schema
from projections.models.filling import Filling, filling_of, without_filling
from projections.models.hold import HALTED, Hold, without_hold
from projections.projection import Projection
from store import File, KeyedTurn, TableMovedError, TableRefusedError

FINGERPRINT: Final = "alluvium.fingerprint"
"""The mark that tells by which code a table's rows were made."""
_REMEDY: Final = "if the projection's columns have changed, run `rebuild`, best with a raised version; else move the table away, and rebuild it"


class DeltaTurn:
    """See `Turn`. The checkpoint is the commit's `txn` of the projection's name, so any Delta reader can ask for it.

    `made_by`: the fingerprint of the projection's code.
    """

    def __init__(self, uri: str, projection: Projection, made_by: str, turn: KeyedTurn) -> None:
        self._uri, self._projection, self._made_by, self._turn = uri, projection, made_by, turn
        self._nothing = key_schema(projection).empty_table()

    @property
    def checkpoint(self) -> int:
        return self._turn.state.txns.get(self._projection.name, 0)

    def rows(self, keys: pa.Table) -> pa.Table:
        with self._moved():
            return self._turn.rows(keys)

    def commit(self, rows: pa.Table, checkpoint: int, deleted: pa.Table | None = None) -> None:
        if checkpoint < self.checkpoint:
            raise ValueError(f"the checkpoint never moves back: {self.checkpoint} to {checkpoint}")
        marks = without_hold(self.marks, HALTED)
        with self._moved():
            gone = self._nothing if deleted is None else deleted
            self._turn.commit(rows, gone, {self._projection.name: checkpoint}, None if marks == self._turn.state.marks else marks)

    @property
    def filling(self) -> Filling | None:
        """None: it is not filled by shard."""
        return filling_of(self.marks)

    @property
    def staged(self) -> Mapping[str, Sequence[File]]:
        """What the shards that are done have left beside the table, by label."""
        with refused(self._uri):
            return self._turn.staged

    def fill(self, filling: Filling, staged: Mapping[str, Sequence[File]]) -> None:
        """Say how far it is filled, and which files beside the table hold the rows, durably in one commit. Neither rows nor checkpoint change."""
        with self._moved():
            self._turn.record(staged, {**self.marks, **filling.mark()})

    def publish(self, blocks: Iterable[pa.Table], rows: int, filling: Filling) -> None:
        """Put so many rows, which come in the order of their keys, in the place of all, and move the checkpoint, durably in one commit."""
        with self._moved():
            self._turn.replace_by(blocks, rows, {self._projection.name: filling.until}, {**self.marks, **filling.mark()})

    def retried(self, stream_id: str) -> int:
        return self._turn.state.txns.get(self._app_id(stream_id), 0)

    def amend(self, rows: pa.Table, deleted: pa.Table, stream_id: str, until: int) -> None:
        with self._moved():
            self._turn.commit(rows, deleted, {self._app_id(stream_id): until})

    def halt(self, why: str) -> None:
        self.mark({**self.marks, **Hold.now(HALTED, why).mark()})

    def reset(self) -> None:
        """Begin anew: no rows, checkpoint 0, whatever code made the rows. In one commit; a runner at work has to start again."""
        marks = without_filling(without_hold({**self.marks, FINGERPRINT: self._made_by}, HALTED))
        with self._moved():
            self._turn.replace(self._projection.columns.empty_table(), {self._projection.name: 0}, marks)

    @property
    def marks(self) -> Mapping[str, str]:
        """What the table says of itself; before it is made, what it will say."""
        return self._turn.state.marks or self._own_marks()

    def mark(self, marks: Mapping[str, str]) -> None:
        """Let the table say this of itself from now on."""
        with self._moved():
            self._turn.commit(self._projection.columns.empty_table(), self._nothing, {}, marks)

    def _app_id(self, stream_id: str) -> str:
        return f"{self._projection.name}/retried/{stream_id}"

    def _own_marks(self) -> dict[str, str]:
        told = {"alluvium.projection": self._projection.name, "alluvium.version": str(self._projection.version)}
        return {**told, FINGERPRINT: self._made_by}

    @contextmanager
    def _moved(self) -> Iterator[None]:
        with refused(self._uri):
            try:
                yield
            except TableMovedError as error:
                raise CheckpointMovedError(self._uri, self.checkpoint) from error


@contextmanager
def refused(uri: str) -> Iterator[None]:
    """ReadModelRefusedError if what lies there is no such table."""
    try:
        yield
    except TableRefusedError as error:
        raise ReadModelRefusedError(uri, error.problem, _REMEDY) from error

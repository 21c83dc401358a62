"""The shard task: what the events of some shards make of a model's rows. It writes nothing that anybody sees, so it may run anywhere, and twice."""

from __future__ import annotations

import pickle
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple

import pyarrow as pa
import pyarrow.compute as pc

from projections.errors import CheckpointMovedError, DeclarationError, Fault
from projections.models.memory_model import MemoryModel
from projections.models.model import Model, Turn
from projections.models.overlay import Overlay
from projections.models.read_model import ReadModel
from projections.observer import LOGGED
from projections.projection import Projection
from projections.running.batches import Bounds, batches
from projections.running.failing import Halt
from store import EventStore, File, open_store, rows_without

_BOUNDS: Final = Bounds(events=200_000, data_bytes=128 << 20)


class Share(NamedTuple):
    """What the events of some shards made of the rows: `touched` has the key of each row that they looked at, once."""

    touched: pa.Table
    rows: pa.Table
    deleted: pa.Table
    events: int


@dataclass(frozen=True, slots=True)
class ShardTask:
    """Fold the events of these shards in (after, until], on the rows of the model as of that Delta version. `model`: a ReadModel, pickled."""

    warehouse: str
    model: bytes
    shards: tuple[str, ...]
    after: int
    until: int
    delta_version: int

    def __str__(self) -> str:
        return f"shards {', '.join(self.shards)} after {self.after} until {self.until}"


class Written(NamedTuple):
    """What a task has made. `rows`: a file beside the table, if there are any. `deleted`: keys of rows that go; `looked_at`: of no row at all."""

    shards: tuple[str, ...]
    rows: File | None
    deleted: pa.Table
    looked_at: pa.Table
    events: int
    seconds: float


def run(task: ShardTask) -> Written:
    """Where the task is: it needs the warehouse and the projection's modules. CheckpointMovedError: the model is at another state. Else as `fill`."""
    model = received(task.model)
    if model.delta_version() < task.delta_version:
        raise CheckpointMovedError(model.uri, task.after)
    with open_store(task.warehouse) as store:
        return write_share(store, model, task.shards, task.after, task.until)


def write_share(store: EventStore, model: ReadModel, shards: Sequence[str], after: int, until: int) -> Written:
    """Fold the events of these shards in (after, until], and write the rows beside the table. Errors as of `fold_shards`."""
    began_s = time.perf_counter()
    # After nothing there are no rows, also where the table is about to get some.
    share = fold_shards(store, model if after else MemoryModel(model.projection), shards, after, until)
    known = pa.concat_tables([share.rows.select(model.projection.key), share.deleted.select(model.projection.key)])
    looked_at = rows_without(share.touched, known, model.projection.key)
    rows = model.stage(share.rows) if len(share.rows) else None
    return Written(tuple(shards), rows, share.deleted, looked_at, share.events, time.perf_counter() - began_s)


def sent(model: Model) -> bytes:
    """DeclarationError: it is not by stream, or what it is made of cannot be sent."""
    check_by_stream(model.projection)
    try:
        return pickle.dumps(model)
    except Exception as error:  # whatever the projection is made of may refuse, each in its own way
        raise _unsendable(model.projection.name, error) from error


def received(sent: bytes) -> ReadModel:
    try:
        model: ReadModel = pickle.loads(sent)
    except Exception as error:  # as above: a notebook's functions are found only here to be missing
        raise _unsendable("the one sent", error) from error
    return model


def _unsendable(name: str, error: Exception) -> DeclarationError:
    remedy = "define its functions and classes by name at the top of a module, and keep its model in a warehouse, or use `fill`"
    return DeclarationError(name, Fault("it", f"cannot be sent to a process ({type(error).__name__}: {error})", remedy))


def fold_shards(store: EventStore, model: Model, shards: Sequence[str], after: int, until: int) -> Share:
    """Apply the events of these shards in (after, until] to the model's rows, aside. Only all shards together make a state of the model.

    `shards`: 'h' and the first hex digits of the md5 of their streams, as the log is laid out. The rows that change are in memory.
    CheckpointMovedError: the model is not at `after`. ApplyError: an event cannot be applied.
    """
    turn, projection, applied = model.turn(), model.projection, 0
    if turn.checkpoint != after:
        raise CheckpointMovedError(model.uri, after)
    overlay = _Noting(projection, turn)
    with projection.form.open(projection) as fold:
        step = Halt().begin(model, overlay, fold, LOGGED)
        for events, reached in batches(store, projection, after, until, _BOUNDS, shards):
            changes = step.apply(events, reached)
            overlay.commit(changes.rows, reached, changes.deleted)
            applied += len(events)
    changed = overlay.changes()
    return Share(overlay.touched(), changed.rows, changed.gone, applied)


def check_by_stream(projection: Projection) -> None:
    """DeclarationError: it does not say that all events that touch a row are of one stream."""
    if not projection.by_stream:
        remedy = "say by_stream=True if all events that touch a row are of one stream, else use `fill`"
        raise DeclarationError(projection.name, Fault("by_stream", "is not said", remedy))


def refuse_told_twice(projection: Projection, keys: pa.Table) -> None:
    """A task tells of each key once, so a key that is told of twice was touched by two of them. DeclarationError, as of `refuse_shared`."""
    counted = keys.group_by(list(projection.key)).aggregate([([], "count_all")])
    refuse_shared(projection, counted.filter(pc.greater(counted["count_all"], 1)))


def refuse_shared(projection: Projection, shared: pa.Table) -> None:
    """Rows that events of several shards touched: none of their tasks saw what another made of the same row. DeclarationError if there are any."""
    if len(shared):
        problem = f"is True, but events of several streams touch the row {shared.select(projection.key).slice(0, 1).to_pylist()[0]}"
        raise DeclarationError(projection.name, Fault("by_stream", problem, "leave it out, and use `fill`"))


class _Noting(Overlay):
    """An overlay that notes which rows were looked at."""

    def __init__(self, projection: Projection, below: Turn) -> None:
        super().__init__(projection, below)
        self._key, self._looked_at = list(projection.key), [projection.columns.empty_table().select(projection.key)]

    def rows(self, keys: pa.Table) -> pa.Table:
        self._looked_at.append(keys.select(self._key))
        return super().rows(keys)

    def touched(self) -> pa.Table:
        return pa.concat_tables(self._looked_at).group_by(self._key).aggregate([])

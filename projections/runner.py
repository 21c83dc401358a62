"""The loop that brings a read model up to the log."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass

import duckdb
import pyarrow as pa

from projections.errors import ApplyError, CheckpointBeyondHeadError
from projections.projection import Projection
from projections.read_model import ReadModel
from projections.sql import SqlFold
from projections.turn import Turn
from store import EventStore


@dataclass(frozen=True, slots=True)
class CaughtUp:
    """What a run did: events applied, rows written, the checkpoint it reached, and how long it took."""

    events: int
    rows: int
    checkpoint: int
    seconds: float


def catch_up(store: EventStore, model: ReadModel, batch_events: int = 100_000) -> CaughtUp:
    """Apply every event up to the head at the call, in batches of this many, each one durable commit.

    A run cut off anywhere loses nothing and repeats nothing: the next one goes on at the checkpoint. The rows are the
    same for every batch size. CheckpointMovedError: another runner is at it. CheckpointBeyondHeadError: rebuild.
    """
    started, projection = time.perf_counter(), model.projection
    turn, head = model.turn(), store.head()
    if turn.checkpoint > head:
        raise CheckpointBeyondHeadError(model.uri, turn.checkpoint, head)
    applied = written = 0
    with projection.form.open(projection.key, projection.columns) as fold:
        for events, until in _batches(store, projection, turn.checkpoint, head, batch_events):
            rows = _apply(projection, fold, turn, events)
            turn.commit(rows, until)
            applied, written = applied + len(events), written + len(rows)
    return CaughtUp(applied, written, turn.checkpoint, time.perf_counter() - started)


def lag(store: EventStore, model: ReadModel) -> int:
    """How many events the read model is behind the log."""
    checkpoint = model.checkpoint()  # before the head, which only grows: never less than nothing
    return store.head() - checkpoint


def _batches(store: EventStore, projection: Projection, after: int, head: int, batch_events: int) -> Iterator[tuple[pa.Table, int]]:
    """The events in slices, each with the checkpoint it leads to. The last one leads to the head and may be empty."""
    if batch_events < 1:
        raise ValueError(f"batch_events is {batch_events}: give at least 1")
    reader = store.read_all(after, until=head, types=projection.types, categories=projection.categories)
    waiting, reached = reader.schema.empty_table(), after
    for batch in reader:
        waiting = pa.concat_tables([waiting, pa.Table.from_batches([batch])])
        while len(waiting) >= batch_events:
            reached = waiting["position"][batch_events - 1].as_py()
            yield waiting.slice(0, batch_events), reached
            waiting = waiting.slice(batch_events)
    if reached < head:
        yield waiting, head


def _apply(projection: Projection, fold: SqlFold, turn: Turn, events: pa.Table) -> pa.Table:
    """The rows that these events change, as they are afterwards."""
    if not len(events):
        return projection.columns.empty_table()
    try:
        fresh = fold.rows(events)
        for name in projection.key:
            if fresh[name].null_count:
                raise _failed(projection, events, f"a row has no {name}: leave it out in the select (where … is not null)")
        return fold.combine(turn.rows(fresh.select(projection.key)), fresh)
    except (duckdb.Error, pa.ArrowInvalid) as error:
        raise _failed(projection, events, str(error)) from error


def _failed(projection: Projection, events: pa.Table, problem: str) -> ApplyError:
    return ApplyError(projection.name, events["position"][0].as_py(), events["position"][-1].as_py(), problem)

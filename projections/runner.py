"""The loop that brings a read model up to the log."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import duckdb
import pyarrow as pa

from projections.batches import batches, newest
from projections.errors import ApplyError, CheckpointBeyondHeadError, ProjectionError
from projections.form import Changes, Fold, key_schema
from projections.projection import Projection
from projections.read_model import ReadModel
from projections.turn import Turn
from store import EventStore, UnreadableEventError


@dataclass(frozen=True, slots=True)
class CaughtUp:
    """What a run did: events applied, rows written or deleted, the checkpoint it reached, and how long it took."""

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
    with projection.form.open(projection) as fold:
        for events, until in batches(store, projection, turn.checkpoint, head, batch_events):
            changes = _apply(projection, fold, turn, events)
            turn.commit(changes.rows, until, changes.deleted)
            applied, written = applied + len(events), written + len(changes.rows) + len(changes.deleted)
    return CaughtUp(applied, written, turn.checkpoint, time.perf_counter() - started)


def lag(store: EventStore, model: ReadModel) -> int:
    """How many events the read model is behind the log."""
    checkpoint = model.checkpoint()  # before the head, which only grows: never less than nothing
    return store.head() - checkpoint


def _apply(projection: Projection, fold: Fold, turn: Turn, events: pa.Table) -> Changes:
    """What these events change."""
    with _blaming(projection, events):
        seen = newest(projection, events)
        if not len(seen):
            return Changes(projection.columns.empty_table(), key_schema(projection).empty_table())
        touched = fold.touched(seen)
        for name in projection.key:
            if touched.keys[name].null_count:
                raise ValueError(f"a row has no {name}: leave it out (in a select by where … is not null, in a frame by drop_nulls)")
    current = turn.rows(touched.keys)
    with _blaming(projection, events):
        return touched.change(current)


@contextmanager
def _blaming(projection: Projection, events: pa.Table) -> Iterator[None]:
    """Whatever goes wrong inside is an ApplyError on these events, or on the one of them that is to blame."""
    try:
        yield
    except ProjectionError:
        raise
    except UnreadableEventError as error:
        position = int(error.position or 0)
        raise ApplyError(projection.name, position, position, str(error), stream_id=error.stream_id, type=error.type) from error
    except Exception as error:  # a form runs the projection's own code, which may raise anything
        problem = str(error) if isinstance(error, duckdb.Error | ValueError) else f"{type(error).__name__}: {error}"
        raise ApplyError(projection.name, events["position"][0].as_py(), events["position"][-1].as_py(), problem) from error

"""The loop that brings a read model up to the log."""

from __future__ import annotations

import time
from dataclasses import dataclass

from projections.applying import apply
from projections.batches import batches
from projections.errors import CheckpointBeyondHeadError
from projections.model import Model
from store import EventStore


@dataclass(frozen=True, slots=True)
class CaughtUp:
    """What a run did: events applied, rows written or deleted, the checkpoint it reached, and how long it took."""

    events: int
    rows: int
    checkpoint: int
    seconds: float


def catch_up(store: EventStore, model: Model, batch_events: int = 100_000) -> CaughtUp:
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
            changes = apply(projection, fold, turn, events)
            turn.commit(changes.rows, until, changes.deleted)
            applied, written = applied + len(events), written + len(changes.rows) + len(changes.deleted)
    return CaughtUp(applied, written, turn.checkpoint, time.perf_counter() - started)


def lag(store: EventStore, model: Model) -> int:
    """How many events the read model is behind the log."""
    checkpoint = model.checkpoint()  # before the head, which only grows: never less than nothing
    return store.head() - checkpoint

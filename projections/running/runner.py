"""The loop that brings a read model up to the log."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from typing import Final

from projections.errors import ApplyError, CheckpointBeyondHeadError, ProjectionError
from projections.models.model import Model, Turn
from projections.models.overlay import Overlay
from projections.observer import LOGGED, Applied, Observer
from projections.running.at_once import AllAtOnce, at_once
from projections.running.batches import Bounds, batches
from projections.running.failing import Failing, Halt
from store import EventStore, Guarded, StoreError

_HALT: Final = Halt()
HELD_BYTES: Final = 512 << 20
"""Of the rows that a fill holds in memory before it commits them."""


@dataclass(frozen=True, slots=True)
class CaughtUp:
    """What a run did: events applied, rows written or deleted, the checkpoint it reached, and how long it took."""

    events: int
    rows: int
    checkpoint: int
    seconds: float


def catch_up(
    store: EventStore,
    model: Model,
    batch_events: int = 100_000,
    *,
    until: int | None = None,
    failing: Failing = _HALT,
    observer: Observer = LOGGED,
) -> CaughtUp:
    """Apply every event up to the head at the call, or up to `until`, in batches of this many at most, each one durable commit.

    A run cut off anywhere loses nothing and repeats nothing: the next one goes on at the checkpoint. The rows are the
    same for every batch size. `failing`: what becomes of events that cannot be applied; see `Park`. `observer`: is told of every batch.

    ApplyError: nothing of that batch is written, and the model is halted. CheckpointMovedError: another runner is at it.
    NeedsRebuildError, CheckpointBeyondHeadError: rebuild. PausedError: resume.
    """
    started, turn = time.perf_counter(), model.turn()
    applied = written = 0
    for events, rows in _run(store, model, turn, _end(store, model, turn, until), Bounds(batch_events), failing, observer):
        applied, written = applied + events, written + rows
    return CaughtUp(applied, written, turn.checkpoint, time.perf_counter() - started)


def fill(
    store: EventStore,
    model: Model,
    batch_events: int = 400_000,
    held_bytes: int = HELD_BYTES,
    *,
    failing: Failing = _HALT,
    observer: Observer = LOGGED,
    all_at_once: AllAtOnce = at_once,
) -> CaughtUp:
    """The same for a model that is far behind: rows stay in memory, and are committed when they take so much, and at the end.

    Far quicker, as rows that change often are written once. A run cut off goes on where the last commit was. An empty model whose rows SQL
    can make of the whole log at once gets them in one commit, whatever memory they take. `all_at_once`: by which engine, DuckDB if none is said.
    """
    started, turn = time.perf_counter(), model.turn()
    overlay, end = Overlay(model.projection, turn), _end(store, model, turn, None)
    applied = written = 0
    if end and not turn.checkpoint and (made := all_at_once(store, model.projection, end)) is not None:
        turn.commit(made.rows, end)
        done = CaughtUp(made.events, len(made.rows), end, time.perf_counter() - started)
        Guarded(observer).record(Applied(model.projection.name, done.events, done.rows, end, end, done.seconds))
        return done
    bounds = Bounds(batch_events, data_bytes=256 << 20)
    for events, _ in _run(store, model, overlay, end, bounds, failing, observer):
        applied += events
        if overlay.size_bytes() > held_bytes:
            written += overlay.flush()
    written += overlay.flush()
    return CaughtUp(applied, written, turn.checkpoint, time.perf_counter() - started)


def lag(store: EventStore, model: Model) -> int:
    """How many events the read model is behind the log."""
    checkpoint = model.checkpoint()  # before the head, which only grows: never less than nothing
    return store.head() - checkpoint


def _end(store: EventStore, model: Model, turn: Turn, until: int | None) -> int:
    head = store.head()
    if turn.checkpoint > head:
        raise CheckpointBeyondHeadError(model.uri, turn.checkpoint, head)
    return head if until is None else min(head, until)


def _run(
    store: EventStore, model: Model, turn: Turn, until: int, bounds: Bounds, failing: Failing, observer: Observer
) -> Iterator[tuple[int, int]]:
    """Batch by batch: how many events it had, and how many rows it changed."""
    projection, told, began_s = model.projection, Guarded(observer), time.perf_counter()
    with projection.form.open(projection) as fold:
        step = failing.begin(model, turn, fold, told)
        for events, reached in batches(store, projection, turn.checkpoint, until, bounds):
            try:
                changes = step.apply(events, reached)
            except ApplyError as error:
                with suppress(ProjectionError, StoreError):    # it is told below in any case
                    turn.halt(str(error))
                raise
            turn.commit(changes.rows, reached, changes.deleted)
            rows, now_s = len(changes.rows) + len(changes.deleted), time.perf_counter()
            told.record(Applied(projection.name, len(events), rows, reached, until, now_s - began_s))
            began_s = now_s
            yield len(events), rows

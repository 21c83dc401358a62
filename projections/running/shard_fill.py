"""Filling a read model by tasks, each of which takes the streams of some shards: by several processes, or several machines."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import Final

import pyarrow as pa

from projections.errors import ApplyError, CheckpointBeyondHeadError, ProjectionError
from projections.models.filling import SHARDS
from projections.models.model import Turn
from projections.models.read_model import ReadModel
from projections.observer import LOGGED, Applied, Folded, Observer
from projections.projection import Projection
from projections.running.executors import Executor, Processes, Serial
from projections.running.runner import CaughtUp
from projections.running.shard_task import ShardTask, Written, refuse_told_twice, run, sent
from store import Guarded, StoreError, open_store

SPAN_EVENTS: Final = 4_000_000


def fill_by_shard(
    warehouse: str,
    model: ReadModel,
    processes: int = 2,
    span_events: int = SPAN_EVENTS,
    *,
    executor: Executor | None = None,
    observer: Observer = LOGGED,
) -> CaughtUp:
    """`fill` for a projection that is `by_stream`, by several processes (16 at most), or wherever `executor` has its tasks run; worth it where
    the projection's own Python is what takes time.

    Span by span of the log: each task writes its rows beside the table, and one durable commit publishes those of all with the checkpoint. A run
    cut off goes on at the checkpoint. The rows of a span are held in memory here. Functions and classes of the projection stand at the top of
    modules, as the processes import them. `observer`: is told of each task that is done, and of each span.

    DeclarationError, with the remedy: it is not by stream, though it says so, or cannot be sent to a process. Nothing of that span is
    written, nor for ApplyError; `catch_up` applies what comes before, and can park the event. ExecutorError: the tasks cannot run. Other errors as
    of `fill`.
    """
    if not 1 <= processes <= len(SHARDS) or span_events < 1:
        raise ValueError(f"{processes} processes and spans of {span_events} events: give 1 to {len(SHARDS)} processes, and spans of 1 event at least")
    chosen = executor or (Processes(processes) if processes > 1 else Serial())
    started, turn, packed, told = time.perf_counter(), model.turn(), sent(model), Guarded(observer)
    with open_store(warehouse) as store:
        head = store.head()
    if turn.checkpoint > head:
        raise CheckpointBeyondHeadError(model.uri, turn.checkpoint, head)
    applied = written = 0
    with _halting(turn), chosen:
        while turn.checkpoint < head:
            began_s, after, until = time.perf_counter(), turn.checkpoint, min(turn.checkpoint + span_events, head)
            tasks = [ShardTask(warehouse, packed, hand, after, until, model.delta_version()) for hand in hands(chosen.tasks)]
            parts: list[Written] = []
            try:
                for part in chosen.map(run, tasks):
                    parts.append(part)
                    told.record(_folded(model.projection, part, after, until, len(parts), len(tasks)))
                rows = _publish(model, turn, parts, until)
            finally:
                model.unstage([part.rows for part in parts if part.rows])
            events = sum(part.events for part in parts)
            applied, written = applied + events, written + rows
            told.record(Applied(model.projection.name, events, rows, until, head, time.perf_counter() - began_s))
    return CaughtUp(applied, written, turn.checkpoint, time.perf_counter() - started)


def hands(count: int) -> list[tuple[str, ...]]:
    """All shards, dealt out to so many tasks."""
    return [SHARDS[number::count] for number in range(min(count, len(SHARDS)))]


def _publish(model: ReadModel, turn: Turn, parts: Sequence[Written], until: int) -> int:
    """One commit of what all tasks made: how many rows it changed."""
    projection = model.projection
    rows = pa.concat_tables([projection.columns.empty_table(), *(model.staged(part.rows) for part in parts if part.rows)])
    deleted = pa.concat_tables([part.deleted for part in parts])
    _refuse_shared_rows(projection, rows, deleted, parts)
    turn.commit(rows, until, deleted)
    return len(rows) + len(deleted)


def _refuse_shared_rows(projection: Projection, rows: pa.Table, deleted: pa.Table, parts: Sequence[Written]) -> None:
    key = list(projection.key)
    refuse_told_twice(projection, pa.concat_tables([rows.select(key), deleted.select(key), *(part.looked_at.select(key) for part in parts)]))


def _folded(projection: Projection, part: Written, after: int, until: int, done: int, of: int) -> Folded:
    return Folded(projection.name, part.shards, after, until, part.events, part.rows.rows if part.rows else 0, done, of, part.seconds)


@contextmanager
def _halting(turn: Turn) -> Iterator[None]:
    try:
        yield
    except ApplyError as error:
        with suppress(ProjectionError, StoreError):    # it is told below in any case
            turn.halt(str(error))
        raise

"""Filling a build shard by shard: by any processes on any machines, in any order; then one commit publishes the rows of all."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from projections.errors import BuildError, CheckpointBeyondHeadError, CheckpointMovedError
from projections.models.filling import SHARDS, Filling
from projections.models.read_model import ReadModel
from projections.running.executors import Executor
from projections.running.shard_task import ShardTask, Written, check_by_stream, refuse_told_twice, run, sent, write_share
from store import EventStore, File

_KEYS: Final = " keys"
"""Ends the label of a file with keys that were looked at, and have no rows."""
Fold = Callable[[Sequence[str], int], Iterator[Written]]
"""Writes what the events of these shards up to that position make, in one part or in several."""


@dataclass(frozen=True, slots=True)
class Filled:
    """Events and rows of the shards that this call filled. `until`: the position up to which all are folded; `left`: shards not filled yet."""

    events: int
    rows: int
    until: int
    left: tuple[str, ...]
    seconds: float


def fill_shards(
    store: EventStore, model: ReadModel, shards: Sequence[str] = SHARDS, *, warehouse: str = "", executor: Executor | None = None
) -> Filled:
    """Write the rows of these shards of `SHARDS` beside an empty read model, for a projection that is `by_stream`; `publish_shards` puts them in.

    The first call of all fixes the position up to which every shard is folded: the head of then. Each call is one durable commit of where its
    rows lie and which shards are done; what is done is not done again, so calls may be repeated, killed, and run side by side, in any order.
    Until they are published runners are refused (BuildError), and no vacuum takes them. An empty log has nothing to fill.

    `executor`: folds parts of the shards as tasks, over the log at `warehouse`; see `fill_by_shard`. None: here, the rows of its shards in memory.

    DeclarationError: it is not by stream, or cannot be sent. ApplyError: mend the projection; what is filled stays, if its code is the same.
    BuildError: its rows are being made otherwise. NeedsRebuildError, PausedError, CheckpointBeyondHeadError as of `catch_up`.
    """
    check_by_stream(model.projection)
    if unknown := set(shards) - set(SHARDS):
        raise ValueError(f"{', '.join(sorted(unknown))} cannot be filled alone: give some of {', '.join(SHARDS)}")
    started, fold = time.perf_counter(), _here(store, model) if executor is None else _dealt_out(warehouse, model, executor)
    while (filling := _begun(store, model)) is not None and (mine := [shard for shard in filling.left if shard in shards]):
        parts = list(fold(mine, filling.until))
        rows = sum(part.rows.rows for part in parts if part.rows)
        staged = _staged(model, mine, parts)
        if (after := _recorded(model, filling, mine, staged)) is not None:
            return Filled(sum(part.events for part in parts), rows, after.until, after.left, time.perf_counter() - started)
        model.unstage([file for files in staged.values() for file in files])
    until, left = (model.checkpoint(), ()) if filling is None else (filling.until, filling.left)
    return Filled(0, 0, until, left, time.perf_counter() - started)


def publish_shards(model: ReadModel) -> int:
    """Put the rows of all shards into the model and move its checkpoint, in one durable commit; runners go on from there. How many rows.

    Cut off, or run twice, it is done once: 0 if it was done before. A block of each file is in memory, whatever their size.

    DeclarationError: it is not by stream, though it says so: events of several shards touched a row. BuildError: shards are missing.
    """
    while True:
        turn = model.shard_turn()
        if (filling := turn.filling) is None or filling.left:
            raise _missing(model, filling)
        if filling.published:
            return 0
        of_rows, of_keys = _files(turn.staged)
        try:
            for keys in model.merged_keys([*of_rows, *of_keys]):
                refuse_told_twice(model.projection, keys)
            rows = sum(file.rows for file in of_rows)
            turn.publish(model.merged(of_rows), rows, Filling(filling.until, filling.done, published=True))
        except CheckpointMovedError:               # another process was first
            continue
        model.unstage([*of_rows, *of_keys])
        return rows


def _here(store: EventStore, model: ReadModel) -> Fold:
    return lambda shards, until: iter([write_share(store, model, shards, 0, until)])


def _dealt_out(warehouse: str, model: ReadModel, executor: Executor) -> Fold:
    """Sixteenths of the shards, dealt out to as many tasks as keep the executor busy."""
    packed = sent(model)

    def fold(shards: Sequence[str], until: int) -> Iterator[Written]:
        finer = [f"{shard}{digit:x}" for shard in shards for digit in range(16)]
        count = min(executor.tasks, len(finer))
        tasks = [ShardTask(warehouse, packed, tuple(finer[number::count]), 0, until, model.delta_version()) for number in range(count)]
        with executor:
            yield from executor.map(run, tasks)

    return fold


def _begun(store: EventStore, model: ReadModel) -> Filling | None:
    """None: there are no events at all. One that is published has no shards left."""
    while True:
        turn, head = model.shard_turn(), store.head()
        filling = turn.filling
        known = turn.checkpoint if filling is None else filling.until
        if known > head:
            raise CheckpointBeyondHeadError(model.uri, known, head)
        if filling is not None or not head:
            return filling
        if known:
            problem = f"the rows at {model.uri} are being made otherwise, up to position {known} so far"
            raise BuildError(model.projection.name, problem, "go on with `rebuild`, or drop the build, and begin another")
        try:
            turn.fill(begun := Filling(head), {})
        except CheckpointMovedError:               # another began first
            continue
        return begun


def _staged(model: ReadModel, shards: Sequence[str], parts: Sequence[Written]) -> dict[str, list[File]]:
    """What is to be recorded: files of rows, and files of the keys that were looked at and have none."""
    label, key = ",".join(shards), list(model.projection.key)
    keys = [table.select(key) for part in parts for table in (part.deleted, part.looked_at) if len(table)]
    return {label: [part.rows for part in parts if part.rows], label + _KEYS: [model.stage(table) for table in keys]}


def _files(staged: Mapping[str, Sequence[File]]) -> tuple[list[File], list[File]]:
    """Of rows, and of keys that have none."""
    of_keys = [file for label, files in staged.items() if label.endswith(_KEYS) for file in files]
    return [file for label, files in staged.items() if not label.endswith(_KEYS) for file in files], of_keys


def _recorded(model: ReadModel, begun: Filling, shards: Sequence[str], staged: Mapping[str, Sequence[File]]) -> Filling | None:
    """What is done with these. None: another process has done some of them meanwhile, and the rest has to be folded alone."""
    while True:
        turn = model.shard_turn()
        if (now := turn.filling) is None or now.until != begun.until or not set(shards) <= set(now.left):
            return None
        try:
            turn.fill(after := now.further(shards), {**turn.staged, **staged})
        except CheckpointMovedError:               # another process has put its shards: ours go beside them
            continue
        return after


def _missing(model: ReadModel, filling: Filling | None) -> BuildError:
    left = ", ".join(SHARDS if filling is None else filling.left)
    return BuildError(model.projection.name, f"{filling or 'no shard is filled'} at {model.uri}", f"fill the others first: {left}")

"""Filling a build shard by shard: by any processes on any machines, in any order, each task one commit."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass

from projections.errors import CheckpointBeyondHeadError, CheckpointMovedError
from projections.models.filling import SHARDS, Filling
from projections.models.memory_model import MemoryModel
from projections.models.read_model import ReadModel
from projections.running.shard_task import Share, check_by_stream, fold_shards, refuse_shared
from store import EventStore


@dataclass(frozen=True, slots=True)
class Filled:
    """Events and rows of the shards that this call filled. `until`: the position up to which all are folded; `left`: shards not filled yet."""

    events: int
    rows: int
    until: int
    left: tuple[str, ...]
    seconds: float


def fill_shards(store: EventStore, model: ReadModel, shards: Sequence[str] = SHARDS) -> Filled:
    """Put the rows of these shards of `SHARDS` into an empty read model, for a projection that is `by_stream`.

    The first call of all fixes the position up to which every shard is folded: the head of then. Each call is one durable commit of its rows
    and of which shards are done; what is done is not done again, so calls may be repeated, killed, and run side by side, in any order. The last
    one moves the checkpoint, and runners go on from there; until then they are refused (BuildError). Rows of its shards are in memory. An empty
    log has nothing to fill.

    DeclarationError: it is not by stream, though it says so (events of several shards touch a row that one of them left there). ApplyError: mend
    the projection; what is filled stays, if its code is the same. NeedsRebuildError, PausedError, CheckpointBeyondHeadError as of `catch_up`.
    """
    check_by_stream(model.projection)
    if unknown := set(shards) - set(SHARDS):
        raise ValueError(f"{', '.join(sorted(unknown))} cannot be filled alone: give some of {', '.join(SHARDS)}")
    started = time.perf_counter()
    while (filling := _begun(store, model)) is not None and (mine := [shard for shard in filling.left if shard in shards]):
        share = fold_shards(store, MemoryModel(model.projection), mine, 0, filling.until)
        if (after := _published(model, filling, mine, share)) is not None:
            return Filled(share.events, len(share.rows), after.until, after.left, time.perf_counter() - started)
    until, left = (model.checkpoint(), ()) if filling is None else (filling.until, filling.left)
    return Filled(0, 0, until, left, time.perf_counter() - started)


def _begun(store: EventStore, model: ReadModel) -> Filling | None:
    """None: there are no shards left, the rows are there up to the checkpoint; or there are no events at all."""
    while True:
        turn, head = model.shard_turn(), store.head()
        filling = turn.filling
        known = turn.checkpoint if filling is None else filling.until
        if known > head:
            raise CheckpointBeyondHeadError(model.uri, known, head)
        if filling is not None or known or not head:
            return filling
        try:
            turn.fill(model.projection.columns.empty_table(), Filling(head))
        except CheckpointMovedError:               # another began first
            continue
        return turn.filling


def _published(model: ReadModel, begun: Filling, shards: Sequence[str], share: Share) -> Filling | None:
    """What is done with these. None: another process has done some of them meanwhile, and the rest has to be folded alone."""
    while True:
        turn = model.shard_turn()
        if (now := turn.filling) is None or now.until != begun.until or not set(shards) <= set(now.left):
            return None
        try:
            refuse_shared(model.projection, turn.rows(share.touched))
            turn.fill(share.rows, after := now.further(shards))
        except CheckpointMovedError:               # another process has put its shards: ours go beside them
            continue
        return after

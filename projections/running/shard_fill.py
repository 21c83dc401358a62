"""Filling a read model with several processes, each of which takes the streams of some shards."""

from __future__ import annotations

import os
import pickle
import threading
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager, suppress
from itertools import repeat
from multiprocessing import connection, get_context, parent_process
from typing import Final

import pyarrow as pa
import pyarrow.compute as pc

from projections.errors import ApplyError, CheckpointBeyondHeadError, DeclarationError, Fault, ProjectionError
from projections.models.filling import SHARDS
from projections.models.model import Model, Turn
from projections.projection import Projection
from projections.running.runner import CaughtUp
from projections.running.shard_task import Share, check_by_stream, fold_shards, refuse_shared
from store import StoreError, open_store

SPAN_EVENTS: Final = 4_000_000


def fill_by_shard(warehouse: str, model: Model, processes: int = 2, span_events: int = SPAN_EVENTS) -> CaughtUp:
    """`fill` for a projection that is `by_stream`, by several processes (16 at most); worth it where its own Python is what takes time.

    Span by span of the log, each one durable commit of all that the processes made of it: a run cut off goes on at the checkpoint. The rows
    of a span are held in memory. Functions and classes of the projection stand at the top of modules, as the processes import them.

    DeclarationError, with the remedy: it is not by stream, though it says so, or cannot be sent to a process. Nothing of that span is
    written, nor for ApplyError; `catch_up` applies what comes before, and can park the event. Other errors as of `fill`.
    """
    if not 1 <= processes <= len(SHARDS) or span_events < 1:
        raise ValueError(f"{processes} processes and spans of {span_events} events: give 1 to {len(SHARDS)} processes, and spans of 1 event at least")
    started, turn, sent = time.perf_counter(), model.turn(), _sent(model)
    with open_store(warehouse) as store:
        head = store.head()
    if turn.checkpoint > head:
        raise CheckpointBeyondHeadError(model.uri, turn.checkpoint, head)
    hands = [SHARDS[number::processes] for number in range(processes)]
    applied = written = 0
    with _workers(processes) as pool, _halting(turn):
        while turn.checkpoint < head:
            until = min(turn.checkpoint + span_events, head)
            shares = list(pool.map(_share, repeat(warehouse), repeat(sent), hands, repeat(turn.checkpoint), repeat(until)))
            _refuse_shared_rows(model.projection, shares)
            rows, deleted = (pa.concat_tables([share[place] for share in shares]) for place in (1, 2))
            turn.commit(rows, until, deleted)
            applied, written = applied + sum(share.events for share in shares), written + len(rows) + len(deleted)
    return CaughtUp(applied, written, turn.checkpoint, time.perf_counter() - started)


def _share(warehouse: str, sent: bytes, shards: Sequence[str], after: int, until: int) -> Share:
    """In a process of its own."""
    with open_store(warehouse) as store:
        return fold_shards(store, _received(sent), shards, after, until)


def _refuse_shared_rows(projection: Projection, shares: Sequence[Share]) -> None:
    counted = pa.concat_tables([share.touched for share in shares]).group_by(list(projection.key)).aggregate([([], "count_all")])
    refuse_shared(projection, counted.filter(pc.greater(counted["count_all"], 1)))


def _sent(model: Model) -> bytes:
    check_by_stream(model.projection)
    try:
        return pickle.dumps(model)
    except Exception as error:  # whatever the projection is made of may refuse, each in its own way
        raise _unsendable(model.projection.name, error) from error


def _received(sent: bytes) -> Model:
    try:
        model: Model = pickle.loads(sent)
    except Exception as error:  # as above: a notebook's functions are found only here to be missing
        raise _unsendable("the one sent", error) from error
    return model


def _unsendable(name: str, error: Exception) -> DeclarationError:
    remedy = "define its functions and classes by name at the top of a module, and keep its model in a warehouse, or use `fill`"
    return DeclarationError(name, Fault("it", f"cannot be sent to a process ({type(error).__name__}: {error})", remedy))


@contextmanager
def _workers(processes: int) -> Iterator[ProcessPoolExecutor]:
    """Spawned: deltalake panics in a forked child."""
    try:
        with ProcessPoolExecutor(processes, get_context("spawn"), _end_with_parent) as pool:
            yield pool
    except BrokenProcessPool as error:
        raise ProjectionError(f"a process of the fill has died ({error}): run again with fewer processes, or use `fill`") from error


@contextmanager
def _halting(turn: Turn) -> Iterator[None]:
    try:
        yield
    except ApplyError as error:
        with suppress(ProjectionError, StoreError):    # it is told below in any case
            turn.halt(str(error))
        raise


def _end_with_parent() -> None:
    """A killed parent tells its processes nothing: they would wait for work for ever."""
    parent = parent_process()
    assert parent is not None

    def watch() -> None:
        connection.wait([parent.sentinel])
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()

"""Real time: read models that follow the log by themselves, and readers that wait for what they wrote."""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import FIRST_EXCEPTION, ThreadPoolExecutor, wait
from functools import partial
from typing import Final

from projections.errors import (
    ApplyError,
    BehindError,
    CheckpointBeyondHeadError,
    CheckpointMovedError,
    NeedsRebuildError,
    PausedError,
    ProjectionError,
    ReadModelRefusedError,
    SupersededError,
)
from projections.models.model import Model, Readable
from projections.observer import LOGGED, Delayed, Halted, Observer
from projections.reactors.reacting import react
from projections.reactors.reactor import Reactor
from projections.running.failing import Failing, Halt
from projections.running.runner import catch_up, lag
from store import AccessDeniedError, EventStore, Guarded, OutcomeUnknownError, StorageError

_HALT: Final = Halt()
PACE_S: Final = 0.2
"""So often a read model is caught up at most: what came meanwhile is one commit of it, not many."""
LONGEST_WAIT_S: Final = 30.0
_SHORTEST_LOOK_S: Final = 0.005
_LONGEST_LOOK_S: Final = 0.1

OnHalted = Callable[[Model, ProjectionError | AccessDeniedError], None]
"""Told of a projection that cannot go on: which one, and why. Called on its thread."""


def follow(
    store: EventStore, models: Sequence[Model], stop: threading.Event, halted: OnHalted, failing: Failing = _HALT, observer: Observer = LOGGED
) -> None:
    """Keep these read models within a second of the head, each on a thread of its own, until `stop` is set; the batches under way are finished.

    One that meets events which it cannot apply (and does not park; see `failing`), or a table that is not its own, is halted and told; the
    others go on. Where storage refuses, it is asked again after growing waits. Several followers of one model are harmless: one of them
    wins each batch. Returns when it was stopped, or when all are halted. Any other error stops the others and is raised. In the end `stop` is set.
    """
    told = Guarded(observer)
    _keep_up([partial(_follow, model, partial(_up_to_date, store, model, failing, told), stop, halted, told) for model in models], stop)


def follow_reactors(
    store: EventStore, reactors: Sequence[tuple[Reactor, Model]], stop: threading.Event, halted: OnHalted, observer: Observer = LOGGED
) -> None:
    """The same for reactors, each with its mark: what follows from an event is brought about within a second, as long as targets answer.

    Where they do not, the reactor waits at its mark, and asks again after growing waits. Only the event under way is finished on `stop`.
    """
    told = Guarded(observer)
    _keep_up([partial(_follow, mark, partial(react, store, reactor, mark, stop=stop), stop, halted, told) for reactor, mark in reactors], stop)


def _keep_up(each: Sequence[Callable[[], None]], stop: threading.Event) -> None:
    with ThreadPoolExecutor(max(1, len(each)), "alluvium-follow") as threads:
        followers = [threads.submit(one) for one in each]
        try:
            wait(followers, return_when=FIRST_EXCEPTION)
        finally:                                   # stopped, all halted, one broken, or Ctrl-C
            stop.set()
        for follower in followers:
            follower.result()


def wait_for(model: Readable, position: int, timeout_s: float = 10.0) -> None:
    """Return once the read model holds everything up to that position (of an `Appended`): so a reader sees its own writes.

    It only waits: something else must follow the log. BehindError: not in that time.
    """
    began_s, look_s = time.monotonic(), _SHORTEST_LOOK_S
    while (checkpoint := model.checkpoint()) < position:
        left_s = began_s + timeout_s - time.monotonic()
        if left_s <= 0:
            raise BehindError(model.uri, checkpoint, position, timeout_s)
        time.sleep(min(look_s, left_s))
        look_s = min(2 * look_s, _LONGEST_LOOK_S)


def _up_to_date(store: EventStore, model: Model, failing: Failing, observer: Observer) -> None:
    if lag(store, model):
        catch_up(store, model, failing=failing, observer=observer)


def _follow(model: Model, go_on: Callable[[], object], stop: threading.Event, halted: OnHalted, observer: Observer) -> None:
    failures, wait_s = 0, PACE_S
    while not stop.is_set():
        try:
            go_on()
            failures, wait_s = 0, PACE_S
        except CheckpointMovedError:
            pass                                   # another runner is at it, and did what we were to do
        except PausedError:
            failures, wait_s = 0, PACE_S           # until somebody resumes it
        except (AccessDeniedError, ApplyError, CheckpointBeyondHeadError, NeedsRebuildError, ReadModelRefusedError, SupersededError) as error:
            observer.record(Halted(model.projection.name, type(error).__name__, str(error), getattr(error, "correlation_id", None)))
            halted(model, error)
            return
        except (OutcomeUnknownError, ProjectionError, StorageError) as error:
            failures += 1
            wait_s = random.uniform(0, min(LONGEST_WAIT_S, PACE_S * 2**failures))
            observer.record(Delayed(model.projection.name, type(error).__name__, failures, wait_s))
        stop.wait(wait_s)

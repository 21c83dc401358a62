"""Real time: read models that follow the log by themselves, and readers that wait for what they wrote."""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import FIRST_EXCEPTION, ThreadPoolExecutor, wait
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
)
from projections.failing import Failing, Halt
from projections.model import Model
from projections.runner import catch_up, lag
from store import EventStore, StorageError

_HALT: Final = Halt()
PACE_S: Final = 0.2
"""So often a read model is caught up at most: what came meanwhile is one commit of it, not many."""
LONGEST_WAIT_S: Final = 30.0
_SHORTEST_LOOK_S: Final = 0.005
_LONGEST_LOOK_S: Final = 0.1

Halted = Callable[[Model, ProjectionError], None]
"""Told of a projection that cannot go on: which one, and why. Called on its thread."""


def follow(store: EventStore, models: Sequence[Model], stop: threading.Event, halted: Halted, failing: Failing = _HALT) -> None:
    """Keep these read models within a second of the head, each on a thread of its own, until `stop` is set; the batches under way are finished.

    One that meets events which it cannot apply (and does not park; see `failing`), or a table that is not its own, is halted and told; the
    others go on. Where storage refuses, it is asked again after growing waits. Several followers of one model are harmless: one of them
    wins each batch. Returns when it was stopped, or when all are halted. Any other error stops the others and is raised. In the end `stop` is set.
    """
    with ThreadPoolExecutor(max(1, len(models)), "alluvium-follow") as threads:
        followers = [threads.submit(_follow, store, model, stop, halted, failing) for model in models]
        try:
            wait(followers, return_when=FIRST_EXCEPTION)
        finally:                                   # stopped, all halted, one broken, or Ctrl-C
            stop.set()
        for follower in followers:
            follower.result()


def wait_for(model: Model, position: int, timeout_s: float = 10.0) -> None:
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


def _follow(store: EventStore, model: Model, stop: threading.Event, halted: Halted, failing: Failing) -> None:
    failures = 0
    while not stop.is_set():
        try:
            if lag(store, model):
                catch_up(store, model, failing=failing)
            failures = 0
        except CheckpointMovedError:
            pass                                   # another runner is at it, and did what we were to do
        except PausedError:
            failures = 0                           # until somebody resumes it
        except (ApplyError, CheckpointBeyondHeadError, NeedsRebuildError, ReadModelRefusedError) as error:
            halted(model, error)
            return
        except (ProjectionError, StorageError):
            failures += 1
        stop.wait(PACE_S if not failures else random.uniform(0, min(LONGEST_WAIT_S, PACE_S * 2**failures)))

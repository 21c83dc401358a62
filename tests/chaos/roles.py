"""A process of the chaos: `python -m tests.chaos.roles ROLE …`. What it tells goes to its standard output, one JSON line each.

Every role goes on at what it told last, so that whoever restarts it loses nothing: that is how an application must do it, too.
"""

from __future__ import annotations

import faulthandler
import os
import signal
import sys
import time
import uuid
from collections.abc import Callable
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

from pipelines import follow as pipelines_follow
from projections import Builds, CheckpointMovedError, ServingModel, UnderWayError, rebuild
from projections.models import leases
from projections.running import following
from store import (
    ContentionError,
    Event,
    OutcomeUnknownError,
    StorageError,
    TableMovedError,
    WrongExpectedVersionError,
    open_store,
    transact,
)
from store.delta import log, log_cleanup
from store.delta import upkeep as log_upkeep
from store.delta.delta_store import DeltaEventStore
from store.keyed import upkeep as keyed_upkeep
from store.storage import breaker, connection, turnstile
from store.tables import cleanup, table_log
from tests.chaos.tallies import CHAINS, COUNTS, TALLY, Tally
from tests.store.delta.writer import acknowledged, batch, place, tell

T = TypeVar("T")

RACES = 2
TALLIES = 2
PAUSE_S = 0.25
"""Of a writer after each of its commits: one process plays the object store for all of them."""
RETENTION_S = 20.0
"""Of replaced files: longer than a read takes on a busy machine, or that one would begin anew for ever."""
PASSING = (CheckpointMovedError, ContentionError, OutcomeUnknownError, StorageError, TableMovedError, UnderWayError)

HURRIED: dict[Any, dict[str, Any]] = {
    connection: {
        "REQUEST_TIMEOUT_S": 2.0, "CONNECT_TIMEOUT_S": 1.0, "RETRY_TIMEOUT_S": 3.0, "FIRST_BACKOFF_S": 0.02, "MAX_BACKOFF_S": 0.2,
        "POLL_S": 0.2,
    },
    breaker: {"OPEN_S": 0.5},
    turnstile: {"PATIENCE_S": 0.5},
    log: {"SETTLE_S": 1.0, "ASLEEP_S": 1.0},
    table_log: {"SETTLE_S": 1.0, "ASLEEP_S": 1.0},
    log_cleanup: {"YOUNGEST_S": 4.0},              # storage tells of whole seconds
    cleanup: {"OLD_S": 4.0},
    log_upkeep: {"CHECKPOINT_EVERY": 20, "CLEAN_EVERY_S": 2.0},
    keyed_upkeep: {"CHECKPOINT_EVERY": 10, "CLEAN_EVERY_S": 2.0, "RETENTION_S": RETENTION_S / 2},
    leases: {"LEASE": timedelta(seconds=6), "RENEW_S": 1.0},
    following: {"LONGEST_WAIT_S": 1.0, "PACE_S": 0.4},
}
"""All times that a process waits, as long against each other as they are, so that much happens in half a minute."""


def hurry() -> None:
    for module, times in HURRIED.items():
        for name, value in times.items():
            assert hasattr(module, name), name
            setattr(module, name, value)


def surely(act: Callable[[], T]) -> T:
    """Until it is done: what passes by, passes by."""
    while True:
        try:
            return act()
        except PASSING as error:
            tell(trouble=type(error).__name__, told=str(error)[:300])
            time.sleep(0.05)


def opened(warehouse: str) -> DeltaEventStore:
    return surely(lambda: open_store(warehouse))


# Writers --------------------------------------------------------------------------------------------------------------


def append(warehouse: str, stop: str, seed: str, number: str) -> None:
    """To a stream of its own at an exact version, and to a shared one at any, in turns; the same events again until they are acknowledged."""
    at = int(number)
    with opened(warehouse) as store:
        while not Path(stop).exists():
            stream_id, expected = place(int(seed), at)
            acknowledged(int(seed), at, stream_id, surely(lambda: store.append(stream_id, batch(int(seed), at), expected)))  # noqa: B023
            at += 1
            time.sleep(PAUSE_S)


def race(warehouse: str, stop: str, seed: str, number: str, version: str = "") -> None:
    """To streams that others are at, too, at the version that it saw. It says where it is about to append: restarted, it tries there first."""
    at, expected = int(number), int(version) if version else None
    with opened(warehouse) as store:
        while not Path(stop).exists():
            stream_id = f"race-{at % RACES}"
            if expected is None:
                expected = surely(lambda: store.stream_version(stream_id))  # noqa: B023
                tell(about=at, version=expected)
            try:
                answer = surely(lambda: store.append(stream_id, batch(int(seed), at), expected))  # noqa: B023
            except WrongExpectedVersionError:
                expected = None
                continue
            acknowledged(int(seed), at, stream_id, answer)
            at, expected = at + 1, None
            time.sleep(PAUSE_S)


def decide(warehouse: str, stop: str, seed: str, number: str) -> None:
    """By `transact`, on what was tallied before: a number that is there is not decided on again."""
    at = int(number)
    with opened(warehouse) as store:
        while not Path(stop).exists():

            def tallied(tally: Tally, at: int = at) -> list[Event]:
                if tally.last.get(seed, -1) >= at:
                    return []
                data = {"seed": int(seed), "number": at, "before": tally.count}
                return [Event("Tallied", data, event_id=str(tally_id(int(seed), at)))]

            id = str(at // 8 % TALLIES)
            done = surely(lambda: transact(store, TALLY, id, tallied))  # noqa: B023
            tell(seed=int(seed), number=at, tally=f"tally-{id}", version=done.version)
            at += 1
            time.sleep(PAUSE_S)


def tally_id(seed: int, number: int) -> uuid.UUID:
    return uuid.uuid5(uuid.NAMESPACE_OID, f"tally/{seed}/{number}")


# Readers, runners, upkeep ---------------------------------------------------------------------------------------------


def read(warehouse: str, after: str) -> None:
    """Tells what it has seen of the log, batch by batch."""
    with opened(warehouse) as store, store.subscribe(int(after)) as subscription:
        while True:
            seen = surely(lambda: next(subscription))
            tell(first=seen["position"][0].as_py(), ids=seen["event_id"].to_pylist())


def follow(warehouse: str) -> None:
    """As the command does it, on the domain of the environment; begun again, as by who looks after processes, if the store is out of reach then."""
    while (code := pipelines_follow.main(["counts", "chains"])) == pipelines_follow.REFUSED:
        tell(trouble="refused")
    sys.exit(code)


def upkeep(warehouse: str, stop: str) -> None:
    """Everything that looks after a log and its read models, again and again, with a short retention."""
    with opened(warehouse) as store:
        works: list[Callable[[], object]] = [
            store.compact,
            store.checkpoint,
            lambda: store.clean_log(log_cleanup.YOUNGEST_S),
            lambda: store.vacuum(RETENTION_S),
            *(partial(maintained, ServingModel(warehouse, one)) for one in (COUNTS, CHAINS)),
        ]
        while not Path(stop).exists():
            for work in works:
                surely(work)
                tell(kept=True)
                time.sleep(0.2)


def rebuild_again(warehouse: str, stop: str) -> None:
    """A read model beside the one that serves, and the switch; the build before the last one goes."""
    builds = Builds(warehouse)
    with opened(warehouse) as store:
        while not Path(stop).exists():
            surely(lambda: rebuild(store, warehouse, CHAINS))
            for old in [build for build in surely(lambda: builds.of(CHAINS)) if build.state in ("kept", "dropping")][:-1]:
                surely(lambda: builds.drop(CHAINS, old.build))  # noqa: B023
            tell(kept=True)
            time.sleep(0.5)


def maintained(model: ServingModel) -> None:
    model.now().maintain()


ROLES: dict[str, Callable[..., None]] = {
    "append": append, "race": race, "decide": decide, "read": read, "follow": follow, "upkeep": upkeep, "rebuild": rebuild_again,
}  # fmt: skip

if __name__ == "__main__":
    faulthandler.register(signal.SIGUSR1)          # who waits for ever is asked where
    if os.environ.get("CHAOS_AS_SHIPPED") != "1":
        hurry()
    ROLES[sys.argv[1]](*sys.argv[2:])

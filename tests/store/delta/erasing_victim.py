"""The victims of the crash tests of erasing: `python -m tests.store.delta.erasing_victim`. See `crash`."""

from __future__ import annotations

from store import Erasure
from store.delta.delta_store import DeltaEventStore
from tests.store.delta import crash
from tests.store.delta.crash import quietly

STREAM = "a-1"


def erase(store: DeltaEventStore) -> None:
    store.erase(Erasure(streams=[STREAM]), by="ann", why="crash")


if __name__ == "__main__":
    crash.WORKS["erase"] = quietly(erase)          # here alone: whoever imports this must find the works of other tests as they are
    crash.serve()

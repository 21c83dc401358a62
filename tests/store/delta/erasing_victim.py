"""The victims of the crash tests of erasing: `python -m tests.store.delta.erasing_victim`. See `crash`."""

from __future__ import annotations

from store import Erasure
from store.delta.delta_store import DeltaEventStore
from tests.store.delta import crash
from tests.store.delta.crash import quietly

STREAM = "a-1"


def erase(store: DeltaEventStore) -> None:
    store.erase(Erasure(streams=[STREAM]), by="ann", why="crash")


crash.WORKS["erase"] = quietly(erase)

if __name__ == "__main__":
    crash.serve()

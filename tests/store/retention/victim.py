"""The victims of the crash tests of retention: `python -m tests.store.retention.victim`. See `tests.store.delta.crash`."""

from __future__ import annotations

from store.delta import segment
from store.delta.delta_store import DeltaEventStore
from tests.store.delta import crash
from tests.store.delta.crash import quietly

RUN_ROWS = 32
"""So that few events make a run that can be archived."""


def remove(store: DeltaEventStore) -> int:
    return store.retention.remove(by="ann", why="crash").events


def archive(store: DeltaEventStore) -> int:
    return store.retention.archive().events


if __name__ == "__main__":
    segment.RUN_ROWS = RUN_ROWS                    # type: ignore[misc]  # here alone: whoever imports this must find everything as it is
    crash.WORKS["remove"], crash.WORKS["archive"] = quietly(remove), quietly(archive)
    crash.serve()

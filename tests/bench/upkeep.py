"""The one place that knows by which verbs a log is kept in shape."""

from __future__ import annotations

from store import EventStore

COMPACT = ("compact", "checkpoint")
"""Everything merged that can be, and a checkpoint after it: the state that bulk reads are measured in."""
CLEAN = ("clean_log", "vacuum")
"""What removes files. Merging and checkpoints are a writer's own work."""


def compact(store: EventStore) -> None:
    for verb in COMPACT:
        getattr(store, verb)()


def clean(store: EventStore) -> list[str]:
    """Remove what is due, by the verbs this store has; which ones that were."""
    there = [verb for verb in CLEAN if hasattr(store, verb)]
    for verb in there:
        getattr(store, verb)()
    return there

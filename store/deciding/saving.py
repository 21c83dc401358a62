"""Snapshots on demand: of one aggregate, of a whole category, and the proof that they say what the events say."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import islice
from typing import Any, Final, NamedTuple, TypeVar

from store.deciding.aggregate import Aggregate, Loaded
from store.deciding.reconstruction import load_all
from store.deciding.saved_state import UnusableSnapshotError, decode_state, encode_state
from store.deciding.states import Known
from store.event_store import AsOf, EventStore
from store.reading import check_many
from store.snapshots.snapshot import Snapshot, table_of
from store.times import now

S = TypeVar("S")

TOGETHER: Final = 50_000
"""So many states are saved in one commit."""


def snapshot(store: EventStore, aggregate: Aggregate[S], id: str) -> Snapshot | None:
    """Save the aggregate's state now; None if it has no events. InvalidEventError: JSON cannot hold the state, or it has no policy."""
    aggregate.saved_as()
    stream_id = aggregate.stream_id(id)
    known = store.deciding.loader.load(aggregate, stream_id, 0.0)
    if not known.version:
        return None
    saved = encode_state(aggregate, stream_id, known, now())
    store.snapshots.save([saved])
    return saved


def rebuild_snapshots(store: EventStore, aggregate: Aggregate[S], as_of: AsOf | None = None) -> int:
    """Save the state of every aggregate of the category, folded in full in one pass; how many these are.

    What was saved before goes as compaction keeps the newest. To be run when `evolve` has changed and `schema_version` was raised.
    """
    aggregate.saved_as()
    saved, states = 0, load_all(store, aggregate, as_of)
    while chunk := [_of(aggregate, loaded) for loaded in islice(states, TOGETHER)]:
        store.snapshots.save_table(table_of(chunk))
        saved += len(chunk)
    return saved


class Disagreement(NamedTuple):
    """A snapshot that says something else than the events: `evolve` was changed, but not `schema_version`."""

    snapshot: Snapshot
    saved: Any
    folded: Any


def verify_snapshots(store: EventStore, aggregate: Aggregate[S], ids: Sequence[str]) -> Iterator[Disagreement]:
    """The newest snapshots of these aggregates that differ from the full fold. Ones of other shapes, which no load would use, are passed over."""
    plain = replace(aggregate, snapshots=None)
    for id in check_many("ids", ids):
        for saved in store.snapshots.newest(aggregate.name, aggregate.stream_id(id)):
            try:
                state = decode_state(aggregate, saved)
            except UnusableSnapshotError:
                continue
            folded = store.deciding.loader.load_at(plain, saved.stream_id, saved.version).state
            if folded != state:
                yield Disagreement(saved, state, folded)


def _of(aggregate: Aggregate[S], loaded: Loaded[S]) -> Snapshot:
    return encode_state(aggregate, loaded.stream_id, Known(loaded.state, loaded.version, loaded.position, time.monotonic()), now())

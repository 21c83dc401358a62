"""Snapshots on demand: of one aggregate, of a whole category, and the proof that they say what the events say."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import islice
from typing import Any, Final, NamedTuple, TypeVar

from store.deciding.aggregate import Aggregate
from store.deciding.likeness import alike
from store.deciding.reconstruction import fold_all, fold_many
from store.deciding.saved_state import UnusableSnapshotError, decode_state, encode_state
from store.deciding.states import Known
from store.errors import InvalidEventError
from store.event_store import AsOf, EventStore
from store.reading import check_many
from store.retention.terms import NOTHING
from store.snapshots.snapshot import Snapshot
from store.times import now

S = TypeVar("S")

TOGETHER: Final = 50_000
"""So many states are saved in one commit."""

_DUE: Final = """
    with saved as (select stream_id, max(version) as saved_at from snapshots where aggregate = $aggregate group by all)
    select stream_id from visible_events left join saved using (stream_id)
    where stream_id >= $category || '-' and stream_id < $category || '.' and version > coalesce(saved_at, 0)
    group by all having count(*) >= $events or sum(strlen(data)) >= $bytes
"""


def snapshot(store: EventStore, aggregate: Aggregate[S], id: str) -> Snapshot | None:
    """Save the aggregate's state now; None if no event can be seen. InvalidEventError: JSON cannot hold the state, or it has no policy."""
    aggregate.saved_as()
    began_s, stream_id = time.monotonic(), aggregate.stream_id(id)
    known = store.deciding.loader.load(aggregate, stream_id, 0.0)
    if not known.event_id:
        return None
    saved = encode_state(aggregate, stream_id, known, now(), store.privacy)
    _save(store, [saved], began_s)
    return saved


def snapshot_due(store: EventStore, aggregate: Aggregate[S]) -> int:
    """Save every aggregate of the category that is due by its policy's `every_events` or `every_bytes`, in one pass; how many these are.

    For streams that are appended to without being loaded or decided on, which is when a policy is asked otherwise: to be run on a schedule.
    InvalidEventError: the policy says neither; or the states of some streams cannot be saved, then all others are.
    """
    aggregate.saved_as()
    began_s, policy = time.monotonic(), aggregate.snapshots
    if policy is None or (policy.every_events is None and policy.every_bytes is None):
        raise InvalidEventError("snapshots", policy, "says neither every_events nor every_bytes", "say one of them, or use rebuild_snapshots")
    position = store.head()
    asked = {"aggregate": aggregate.name, "category": aggregate.category, "events": policy.every_events, "bytes": policy.every_bytes}
    due = [stream_id for (stream_id,) in store.sql(_DUE, asked, as_of=position).fetchall()]
    chunks = (due[first : first + TOGETHER] for first in range(0, len(due), TOGETHER))
    return _saved(store, aggregate, (known for chunk in chunks for known in fold_many(store, aggregate, chunk, position).items()), began_s)


def rebuild_snapshots(store: EventStore, aggregate: Aggregate[S], as_of: AsOf | None = None) -> int:
    """Save the state of every aggregate of the category, folded in full in one pass; how many these are.

    What was saved before goes as compaction keeps the newest. To be run when `evolve` has changed and `schema_version` was raised.
    InvalidEventError: the states of some streams cannot be saved; all others are.
    """
    aggregate.saved_as()
    store.deciding.loader.recovery.meet(aggregate)
    began_s = time.monotonic()
    position = store.deciding.loader.position(store.head() if as_of is None else as_of)
    return _saved(store, aggregate, fold_all(store, aggregate, position), began_s)


def _saved(store: EventStore, aggregate: Aggregate[S], states: Iterator[tuple[str, Known]], began_s: float) -> int:
    saved, refused = 0, dict[str, str]()
    while chunk := list(islice(states, TOGETHER)):
        snapshots = list(_encodable(store, aggregate, chunk, refused))
        _save(store, snapshots, began_s)
        saved += len(snapshots)
    if refused:
        problem = f"({len(refused):,}) have states that cannot be saved; {saved:,} others are saved. The first one {next(iter(refused.values()))}"
        raise InvalidEventError("streams", list(refused), problem, "mend the state's class, and do it again")
    return saved


def _save(store: EventStore, snapshots: Sequence[Snapshot], began_s: float) -> None:
    """`began_s`: their events were read since. If some were erased meanwhile, nothing of them stays: whoever erases looked for snapshots already."""
    store.snapshots.save(snapshots)
    if snapshots and store.deciding.forgot_since(began_s):
        store.snapshots.forget(None, sorted({snapshot.stream_id for snapshot in snapshots}))


def _encodable(store: EventStore, aggregate: Aggregate[S], states: Sequence[tuple[str, Known]], refused: dict[str, str]) -> Iterator[Snapshot]:
    for stream_id, known in states:
        try:
            yield encode_state(aggregate, stream_id, known, now(), store.privacy)
        except InvalidEventError as error:
            refused[stream_id] = error.problem


class Disagreement(NamedTuple):
    """A snapshot that says something else than the events: `evolve` was changed, but not `schema_version`, or it is of another log.

    `folded`: what the events say; None if they do not reach that version.
    """

    snapshot: Snapshot
    saved: Any
    folded: Any


def verify_snapshots(store: EventStore, aggregate: Aggregate[S], ids: Sequence[str]) -> Iterator[Disagreement]:
    """The newest snapshots of these aggregates that differ from the full fold. Ones of other shapes, and of streams that hide
    events since, which no load would use, are passed over."""
    aggregate.saved_as()
    plain = replace(aggregate, snapshots=None)
    for id in check_many("ids", ids):
        for saved in store.snapshots.newest(aggregate.name, aggregate.stream_id(id)):
            if (store.retention.terms(saved.stream_id) or NOTHING).outdates(saved.position):
                continue
            try:
                state, _ = decode_state(aggregate, saved, store.privacy)
            except UnusableSnapshotError:
                continue
            if saved.version > store.stream_version(saved.stream_id):
                yield Disagreement(saved, state, None)
            elif not alike(folded := store.deciding.loader.load_at(plain, saved.stream_id, saved.version).state, state):
                yield Disagreement(saved, state, folded)

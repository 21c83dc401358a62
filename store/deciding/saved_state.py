"""A state as a snapshot holds it: JSON text of some shape, lifted to the present one when it is read."""

from __future__ import annotations

from typing import Any, TypeVar

import msgspec

from store.deciding.aggregate import Aggregate
from store.deciding.states import REPLACE, Known
from store.snapshots.snapshot import Snapshot, check_state

S = TypeVar("S")


class UnusableSnapshotError(Exception):
    """A snapshot that must be left alone. `saved_at`: what `Known` is to say of it; 0 of one that newer code has written, which is to stay."""

    def __init__(self, problem: str, saved_at: int) -> None:
        self.saved_at = saved_at
        super().__init__(problem)


def encode_state(aggregate: Aggregate[S], stream_id: str, known: Known, taken_at: int) -> Snapshot:
    """InvalidEventError: JSON makes something else of the state, so that a load from it would not be the full fold; or it is too large."""
    assert aggregate.snapshots is not None
    text, keep = aggregate.saved_as().text("state", known.state), aggregate.snapshots.keep
    check_state(text)
    return Snapshot(aggregate.name, stream_id, known.version, known.position, known.event_id, aggregate.schema_version, keep, taken_at, text)


def decode_state(aggregate: Aggregate[S], snapshot: Snapshot) -> S:
    """UnusableSnapshotError: no chain of steps leads to the present shape, or the text does not fit it."""
    if snapshot.schema_version > aggregate.schema_version:
        raise UnusableSnapshotError(f"it has schema_version {snapshot.schema_version}, this code knows {aggregate.schema_version}", saved_at=0)
    try:
        return aggregate.saved_as().decode(_lifted(aggregate, snapshot))
    except UnusableSnapshotError:
        raise
    except Exception as error:                     # whatever a step or a class makes of an old state: the events are there
        raise UnusableSnapshotError(f"its state cannot be read ({error!r})", saved_at=REPLACE) from error


def _lifted(aggregate: Aggregate[S], snapshot: Snapshot) -> str:
    if snapshot.schema_version == aggregate.schema_version:
        return snapshot.state
    state: Any = msgspec.json.decode(snapshot.state)         # which keeps whole numbers of any size whole
    for version in range(snapshot.schema_version, aggregate.schema_version):
        if (step := aggregate.upcasters.get(version)) is None:
            raise UnusableSnapshotError(f"no step lifts schema_version {version} to {version + 1}", saved_at=REPLACE)
        state = step(state)
    return msgspec.json.encode(state).decode()

"""A state as a snapshot holds it: JSON text of some shape, lifted to the present one when it is read."""

from __future__ import annotations

from typing import Any, TypeVar

import msgspec

from store.deciding.aggregate import Aggregate
from store.deciding.states import REPLACE, Known
from store.errors import InvalidEventError
from store.privacy.confidant import Confidant
from store.privacy.key import KeyId
from store.privacy.sealed_state import is_sealed, open_state, seal_state
from store.snapshots.snapshot import Snapshot, check_state

S = TypeVar("S")


class UnusableSnapshotError(Exception):
    """A snapshot that must be left alone. `saved_at`: what `Known` is to say of it; 0 of one that newer code has written, which is to stay."""

    def __init__(self, problem: str, saved_at: int) -> None:
        self.saved_at = saved_at
        super().__init__(problem)


class UnsealableError(InvalidEventError):
    """A state with personal data, and the keys are not there to seal it by: it is not saved."""


def encode_state(aggregate: Aggregate[S], stream_id: str, known: Known, taken_at: int, privacy: Confidant) -> Snapshot:
    """With personal data in it the state is sealed. UnsealableError: it cannot be.

    InvalidEventError: JSON makes something else of the state, so that a load from it would not be the full fold; or it is too large.
    """
    assert aggregate.snapshots is not None
    text, keep = aggregate.saved_as().text("state", known.state), aggregate.snapshots.keep
    if known.keys:
        text = _sealed(privacy, known, text, _place(aggregate.name, stream_id, known.version))
    check_state(text)
    return Snapshot(aggregate.name, stream_id, known.version, known.position, known.event_id, aggregate.schema_version, keep, taken_at, text)


def decode_state(aggregate: Aggregate[S], snapshot: Snapshot, privacy: Confidant) -> tuple[S, frozenset[KeyId]]:
    """The state, and the keys of personal data in it.

    UnusableSnapshotError: no chain of steps leads to the present shape, or the text does not fit it; or some of the keys are not there.
    """
    if snapshot.schema_version > aggregate.schema_version:
        raise UnusableSnapshotError(f"it has schema_version {snapshot.schema_version}, this code knows {aggregate.schema_version}", saved_at=0)
    text, keys = _opened(privacy, snapshot)
    try:
        return aggregate.saved_as().decode(_lifted(aggregate, snapshot._replace(state=text))), keys
    except UnusableSnapshotError:
        raise
    except Exception as error:                     # whatever a step or a class makes of an old state: the events are there
        told = type(error).__name__ if keys else repr(error)     # what it says of a sealed one may be personal, and is logged
        raise UnusableSnapshotError(f"its state cannot be read ({told})", saved_at=REPLACE) from error


def _sealed(privacy: Confidant, known: Known, text: str, place: str) -> str:
    if privacy.keyring is None:
        remedy = "open the store with privacy=types.privacy(keys)"
        raise UnsealableError("state", f"of {place}", "holds personal data, and the store has no keys to seal it by", remedy)
    if (sealed := seal_state(privacy.keyring, known.keys, text, place)) is None:
        raise UnsealableError("state", f"of {place}", "holds personal data of somebody who was forgotten meanwhile", "load it anew")
    return sealed


def _opened(privacy: Confidant, snapshot: Snapshot) -> tuple[str, frozenset[KeyId]]:
    if not is_sealed(snapshot.state):
        return snapshot.state, frozenset()
    if privacy.keyring is None:                    # whoever has the keys needs it
        raise UnusableSnapshotError("it is sealed, and the store has no keys", saved_at=0)
    try:
        found = open_state(privacy.keyring, snapshot.state, _place(snapshot.aggregate, snapshot.stream_id, snapshot.version))
    except ValueError as error:                    # damaged
        raise UnusableSnapshotError(str(error), saved_at=REPLACE) from error
    if found is None:
        raise UnusableSnapshotError("it holds personal data of somebody who was forgotten", saved_at=REPLACE)
    return found


def _place(name: str, stream_id: str, version: int) -> str:
    return f"{name} {stream_id} {version}"


def _lifted(aggregate: Aggregate[S], snapshot: Snapshot) -> str:
    if snapshot.schema_version == aggregate.schema_version:
        return snapshot.state
    state: Any = msgspec.json.decode(snapshot.state)         # which keeps whole numbers of any size whole
    for version in range(snapshot.schema_version, aggregate.schema_version):
        if (step := aggregate.upcasters.get(version)) is None:
            raise UnusableSnapshotError(f"no step lifts schema_version {version} to {version + 1}", saved_at=REPLACE)
        state = step(state)
    return msgspec.json.encode(state).decode()

"""An aggregate: how the events of one stream become a state. Plain values and functions, no class to inherit."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar

from store.deciding.fold import Evolve
from store.deciding.snapshot_policy import SnapshotPolicy
from store.deciding.state_shape import StateShape, state_shape
from store.draft import check_text
from store.errors import InvalidEventError
from store.event_types.event_types import EventTypes
from store.limits import MAX_NAME_BYTES, MAX_STREAM_ID_BYTES

S = TypeVar("S")

Lift = Callable[[dict[str, Any]], Mapping[str, Any]]
"""A saved state's JSON object -> that of the next schema_version."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Aggregate(Generic[S]):
    """The state of each stream `<category>-<id>`.

        aircraft = Aggregate(category="aircraft", initial=Aircraft(), evolve=evolve, types=flight_types)

    `initial`: the state of a stream without events. `evolve`: (state, event) -> the state after it, pure. `types` decode the events and
    lift old shapes; without them `evolve` is given each event as a `RawEvent`. `unknown`: evolves a `RawEvent` of a type, or of a newer
    shape, that `types` do not know; without it such an event stops the load (`UnknownEventTypeError`), because a decision on a
    state that lacks it may be wrong. `erased`: evolves an `ErasedEvent`; without it such an event changes no state, only the version.

    `snapshots`: when to save states; never when not given. `state`: the type of a state, where that of `initial` does not tell it
    (`Account | None`, `dict[str, int]`); JSON must be able to hold it. `schema_version`: of the state. Raise it whenever the state's
    fields change, or `evolve` gives another state for the same events. `upcasters`: version -> the step that lifts a saved state to
    the next version; a snapshot without a chain of steps to the present version is ignored and replaced. `name`: of the
    snapshots, the category if not given. Where several aggregates fold one category each needs its own: one store refuses two of one
    name as far as it can tell them apart, by the names of `evolve` and `state`; what other processes call by that name it cannot know.
    """

    category: str
    initial: S
    evolve: Evolve[S]
    types: EventTypes = field(default_factory=EventTypes)
    unknown: Evolve[S] | None = None
    erased: Evolve[S] | None = None
    snapshots: SnapshotPolicy | None = None
    state: Any = None
    schema_version: int = 1
    upcasters: Mapping[int, Lift] = field(default_factory=dict)
    name: str = ""
    shape: StateShape[S] | None = field(init=False, repr=False, default=None)
    """How a state is saved; None without snapshots: then nobody asks whether JSON can hold it."""

    def __post_init__(self) -> None:
        _check_category(self.category)
        self._check_parts()
        self._check_versions()
        object.__setattr__(self, "name", self.name or self.category)
        check_text("name", self.name, MAX_NAME_BYTES)
        object.__setattr__(self, "state", type(self.initial) if self.state is None else self.state)
        if self.snapshots is not None:
            object.__setattr__(self, "shape", state_shape(self.state))
            self.saved_as().text("initial", self.initial)

    def stream_id(self, id: str) -> str:
        """InvalidEventError: no stream can have that id."""
        check_text("id", id, MAX_STREAM_ID_BYTES)
        check_text("stream_id", stream_id := f"{self.category}-{id}", MAX_STREAM_ID_BYTES)
        return stream_id

    def saved_as(self) -> StateShape[S]:
        """InvalidEventError: it has no snapshots."""
        if self.shape is None:
            raise InvalidEventError("aggregate", self.name, "has no snapshot policy", "give it snapshots=SnapshotPolicy(), if only on demand")
        return self.shape

    def _check_parts(self) -> None:
        if not callable(self.evolve):
            raise InvalidEventError("evolve", self.evolve, "is no function", "give one of (state, event) that returns the state after it")
        if self.unknown is not None and not callable(self.unknown):
            raise InvalidEventError("unknown", self.unknown, "is no function", "give one of (state, event), or leave it out")
        if self.erased is not None and not callable(self.erased):
            raise InvalidEventError("erased", self.erased, "is no function", "give one of (state, event), or leave it out")
        if not isinstance(self.types, EventTypes):
            raise InvalidEventError("types", self.types, "are no EventTypes", "give EventTypes(...), or leave them out")
        if self.snapshots is not None and not isinstance(self.snapshots, SnapshotPolicy):
            raise InvalidEventError("snapshots", self.snapshots, "are no policy", "give SnapshotPolicy(...), or leave it out")

    def _check_versions(self) -> None:
        if not _is_version(self.schema_version):
            raise InvalidEventError("schema_version", self.schema_version, "is no version", "count shapes of the state from 1")
        if not isinstance(self.upcasters, Mapping):
            raise InvalidEventError("upcasters", self.upcasters, "are no mapping", "give {version: the step from it to the next}")
        if wrong := [version for version in self.upcasters if not _is_version(version) or version >= self.schema_version]:
            raise InvalidEventError("upcasters", wrong, f"do not lead to schema_version {self.schema_version}", "give steps from older versions only")


@dataclass(frozen=True, slots=True)
class Loaded(Generic[S]):
    """A state and its place: `version` of the stream (0: it has no events), `position` in the log of its last event.

    `as_of`: the position up to which the log was asked for, when it was asked as of a position or a time.
    """

    stream_id: str
    state: S
    version: int
    position: int
    as_of: int | None = None


def _check_category(category: object) -> None:
    check_text("category", category, MAX_NAME_BYTES)
    if "-" in str(category):
        raise InvalidEventError("category", category, "is no category", "give the part of the stream ids before their first '-'")


def _is_version(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 0 < value < 2**31

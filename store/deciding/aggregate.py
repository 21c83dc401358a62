"""An aggregate: how the events of one stream become a state. Plain values and functions, no class to inherit."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar

from store.deciding.fold import Evolve
from store.deciding.snapshot_policy import SnapshotPolicy
from store.deciding.state_shape import StateShape, state_shape
from store.errors import InvalidEventError
from store.event_types.event_types import EventTypes

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
    state that lacks it may be wrong.

    `snapshots`: when to save states; never when not given. `state`: the type of a state, where that of `initial` does not tell it
    (`Account | None`, `dict[str, int]`); JSON must be able to hold it. `schema_version`: of the state. Raise it whenever the state's
    fields change, or `evolve` gives another state for the same events. `upcasters`: version -> the step that lifts a saved state to
    the next version; a snapshot without a chain of steps to the present version is ignored and replaced. `name`: of the
    snapshots, where several aggregates fold one category.
    """

    category: str
    initial: S
    evolve: Evolve[S]
    types: EventTypes = field(default_factory=EventTypes)
    unknown: Evolve[S] | None = None
    snapshots: SnapshotPolicy | None = None
    state: Any = None
    schema_version: int = 1
    upcasters: Mapping[int, Lift] = field(default_factory=dict)
    name: str = ""
    shape: StateShape[S] = field(init=False, repr=False)
    """How a state is saved."""

    def __post_init__(self) -> None:
        if not self.category or "-" in self.category:
            raise InvalidEventError("category", self.category, "is no category", "give the part of the stream ids before their first '-'")
        if self.schema_version < 1:
            raise InvalidEventError("schema_version", self.schema_version, "is no version", "count shapes of the state from 1")
        if late := [version for version in self.upcasters if not 1 <= version < self.schema_version]:
            raise InvalidEventError("upcasters", late, f"do not lead to schema_version {self.schema_version}", "give steps from older versions only")
        object.__setattr__(self, "name", self.name or self.category)
        object.__setattr__(self, "shape", state_shape(type(self.initial) if self.state is None else self.state))
        if self.snapshots is not None:
            self._check_shape()

    def stream_id(self, id: str) -> str:
        return f"{self.category}-{id}"

    def _check_shape(self) -> None:
        try:
            read = self.shape.decode(self.shape.encode(self.initial).decode())
        except Exception as error:
            problem = f"cannot be saved ({error!r})"
            raise InvalidEventError("initial", self.initial, problem, "give a state that JSON can hold, or no policy") from error
        if read != self.initial:
            problem = f"is read back as {read!r}"
            raise InvalidEventError("initial", self.initial, problem, "say the state's type with state=, or give it fields that JSON can hold")


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

"""The measuring port of projections: what their runners did, as frozen records handed to one observer."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Protocol

from store import LoggingObserver


@dataclass(frozen=True, slots=True)
class Applied:
    """One batch of events applied: its rows are committed together with the checkpoint, or wait in memory for the commit that ends a fill.

    `events`: that the projection reads; `rows`: put or deleted. `position`: up to which the log is applied, `until`: up to which this run
    goes. `seconds`: since the batch before, so with reading, decoding and committing.
    """

    projection: str
    events: int
    rows: int
    position: int
    until: int
    seconds: float


@dataclass(frozen=True, slots=True)
class Folded:
    """One task of a fill by shard is done: the events of these shards in (after, until] are rows, which wait for the commit of all.

    `done`: so many tasks of this span, `of` so many. `seconds`: the task's own, where it ran.
    """

    projection: str
    shards: tuple[str, ...]
    after: int
    until: int
    events: int
    rows: int
    done: int
    of: int
    seconds: float


@dataclass(frozen=True, slots=True)
class Declined:
    """A fill that `engine` was to make, and did not, because of what `why` says: it was made here, as without that engine."""

    projection: str
    engine: str
    why: str


@dataclass(frozen=True, slots=True)
class Parked:
    """Events that went to the dead letters: those that cannot be applied, and those of their streams that come after them."""

    projection: str
    events: int
    streams: int


@dataclass(frozen=True, slots=True)
class Halted:
    """A projection that does not go on until somebody mends what `problem` says. `reason`: the error's class name."""

    projection: str
    reason: str
    problem: str
    correlation_id: str | None


@dataclass(frozen=True, slots=True)
class Delayed:
    """A follower that waits before it asks storage again, as it was refused so often in a row."""

    projection: str
    reason: str
    failures: int
    wait_s: float


Measurement = Applied | Folded | Declined | Parked | Halted | Delayed
"""All that the runners of projections and reactors tell."""


class Observer(Protocol):
    """Takes measurements, on the runners' own threads: be quick. What it raises fails nothing, and is logged once."""

    def record(self, measurement: Measurement) -> None: ...


LOGGED: Final = LoggingObserver(warned=(Declined, Parked, Halted, Delayed))
"""Who is told where nobody is named."""

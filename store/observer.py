"""The measuring port: what the store did, as frozen records handed to one observer."""

from __future__ import annotations

import logging
from contextlib import suppress
from dataclasses import asdict, dataclass
from typing import Any, Final, Protocol


@dataclass(frozen=True, slots=True)
class Committed:
    """One commit of the log, durable. `waited_s`: from the oldest append's arrival to its answer."""

    delta_version: int
    appends: int
    events: int
    data_bytes: int
    attempts: int
    waited_s: float
    correlation_ids: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Refused:
    """One append that was not written. `reason`: the error's class name."""

    reason: str
    stream_id: str
    correlation_id: str | None


@dataclass(frozen=True, slots=True)
class Compacted:
    """One merge of small files.

    The events of all merges over the events of all commits are the writes that an event costs after its first one; so too
    `data_bytes`, in bytes.
    """

    delta_version: int
    files_before: int
    files_after: int
    events: int
    data_bytes: int
    seconds: float
    bytes_before: int = 0
    table: str = "events"


@dataclass(frozen=True, slots=True)
class Checkpointed:
    """One checkpoint of the log, and the heads file that goes with it. `head_streams`: written to that file."""

    delta_version: int
    data_bytes: int
    head_streams: int
    head_bytes: int
    seconds: float
    table: str = "events"


@dataclass(frozen=True, slots=True)
class Cleaned:
    """One clean-up of the log: commits and checkpoints removed."""

    files: int
    data_bytes: int
    seconds: float
    table: str = "events"


@dataclass(frozen=True, slots=True)
class Vacuumed:
    """One vacuum: data files removed that nobody needs."""

    files: int
    data_bytes: int
    seconds: float
    table: str = "events"


@dataclass(frozen=True, slots=True)
class Failed:
    """Work off the append path that did not succeed. It is tried again, unless `error` says what must be mended first."""

    work: str
    error: str


@dataclass(frozen=True, slots=True)
class Circuit:
    """Storage, or a target outside, stopped answering, is tried once, or answers again.

    `state`: "open", "half-open" or "closed"; `failures`: calls in a row.
    """

    place: str
    state: str
    failures: int
    reason: str


@dataclass(frozen=True, slots=True)
class Reconstructed:
    """One state loaded, other than from memory as it was. `events`: folded for it, on a snapshot or, if `remembered`, on a state in memory."""

    aggregate: str
    stream_id: str
    version: int
    events: int
    remembered: bool
    seconds: float
    correlation_id: str | None


@dataclass(frozen=True, slots=True)
class Decided:
    """Decisions that became one commit, or that decided on nothing. `attempts`: how often they were made. `ground`: on what."""

    ground: str
    decisions: int
    events: int
    attempts: int
    seconds: float
    correlation_ids: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Retried:
    """Decisions that must be made again, as another was first: `reason` tells what was expected and what is there."""

    ground: str
    reason: str
    attempt: int
    correlation_ids: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Snapshotted:
    """States saved together."""

    snapshots: int
    data_bytes: int
    seconds: float


@dataclass(frozen=True, slots=True)
class SnapshotIgnored:
    """A snapshot that was of no use: the state was folded without it."""

    aggregate: str
    stream_id: str
    version: int
    schema_version: int
    reason: str


Measurement = (
    Committed | Refused | Compacted | Checkpointed | Cleaned | Vacuumed | Failed | Circuit
    | Reconstructed | Decided | Retried | Snapshotted | SnapshotIgnored
)
"""All that a store tells."""


class Observer(Protocol):
    """Takes measurements. Called on the store's own threads: be quick, do not call the store. What it raises goes nowhere (see `Guarded`)."""

    def record(self, measurement: Measurement) -> None: ...


class Recorder(Protocol):
    """An observer of anything, of this package or of one above it."""

    def record(self, measurement: Any) -> None: ...


class Guarded:
    """Hands measurements on. What the observer raises is logged the first time, and never fails what was measured: that may be a fact already."""

    def __init__(self, observer: Recorder) -> None:
        self._observer, self._told = observer, False

    def record(self, measurement: Any) -> None:
        try:
            self._observer.record(measurement)
        except Exception:
            if not self._told:
                self._told = True
                with suppress(Exception):          # the logger's handlers may be what raised
                    logging.getLogger("alluvium").exception("the observer failed, and may go on to: mend it (%s)", type(self._observer).__name__)


WARNED: Final = (Failed, Circuit, SnapshotIgnored)


class LoggingObserver:
    """Writes each measurement, a dataclass of any package, to the logger `alluvium`: those of the types `warned` as warnings, others at debug level.

    A record's `facts` holds the fields as a dict, for a formatter such as `JsonLines`.
    """

    def __init__(self, warned: tuple[type, ...] = WARNED) -> None:
        self._logger, self._warned = logging.getLogger("alluvium"), warned

    def record(self, measurement: Any) -> None:
        level = logging.WARNING if isinstance(measurement, self._warned) else logging.DEBUG
        if self._logger.isEnabledFor(level):
            facts = asdict(measurement)
            told = " ".join(f"{name}={value}" for name, value in facts.items())
            self._logger.log(level, "%s %s", type(measurement).__name__.lower(), told, extra={"facts": facts})

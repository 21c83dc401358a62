"""The measuring port: what the store did, as frozen records handed to one observer."""

from __future__ import annotations

import logging
from dataclasses import asdict, dataclass
from typing import Protocol


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
    """Work off the append path that did not succeed; it will be tried again."""

    work: str
    error: str


@dataclass(frozen=True, slots=True)
class Circuit:
    """Storage stopped answering, is tried once, or answers again. `state`: "open", "half-open" or "closed"; `failures`: calls in a row."""

    place: str
    state: str
    failures: int
    reason: str


Measurement = Committed | Refused | Compacted | Checkpointed | Cleaned | Vacuumed | Failed | Circuit


class Observer(Protocol):
    """Takes measurements. Called on the store's own threads: be quick, do not raise, do not call the store."""

    def record(self, measurement: Measurement) -> None: ...


class LoggingObserver:
    """Writes each measurement to the logger `alluvium`: failures and what storage does about them as warnings, the rest at debug level."""

    def __init__(self) -> None:
        self._logger = logging.getLogger("alluvium")

    def record(self, measurement: Measurement) -> None:
        level = logging.WARNING if isinstance(measurement, Failed | Circuit) else logging.DEBUG
        if self._logger.isEnabledFor(level):
            facts = " ".join(f"{name}={value}" for name, value in asdict(measurement).items())
            self._logger.log(level, "%s %s", type(measurement).__name__.lower(), facts)

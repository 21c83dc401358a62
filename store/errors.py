"""Why the store says no: one class for each decision that a caller can take."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import NamedTuple, Self


class StoreError(Exception):
    """Root of every error of the store. `correlation_id` is that of the operation, when its events carried one."""

    correlation_id: str | None = None

    def told(self, correlation_id: str | None) -> Self:
        """The same error for one of several operations that it ends."""
        twin = type(self).__new__(type(self))
        twin.args, twin.__cause__ = self.args, self.__cause__
        twin.__dict__.update(self.__dict__, correlation_id=correlation_id)
        return twin

    def __str__(self) -> str:
        message = super().__str__()
        return f"{message} [correlation_id={self.correlation_id}]" if self.correlation_id else message


class InvalidEventError(StoreError, ValueError):
    """The input breaks a rule; nothing was written. Mend `field` as `remedy` says and append again."""

    def __init__(self, field: str, value: object, problem: str, remedy: str) -> None:
        self.field, self.value, self.problem, self.remedy = field, value, problem, remedy
        super().__init__(f"{field} {_shown(value)} {problem}: {remedy}")


class Conflict(NamedTuple):
    """One failed check: the stream, what the caller expected and the version it really has."""

    stream_id: str
    expected: object
    actual: int


class WrongExpectedVersionError(StoreError):
    """The stream is not where the caller thought; nothing was written. Load again and decide again.

    `stream_id, expected, actual` are those of the first failed check; `conflicts` has all of them.
    """

    def __init__(self, conflicts: Sequence[Conflict]) -> None:
        self.conflicts = tuple(conflicts)
        self.stream_id, self.expected, self.actual = self.conflicts[0]
        told = "; ".join(f"stream {c.stream_id!r} is at version {c.actual}, expected {_named(c.expected)}" for c in conflicts)
        super().__init__(f"{told}: load again and decide again")


class DuplicateEventError(StoreError):
    """Some of these events are in the log already and some are not; nothing was written. Give new events new ids."""

    def __init__(self, stream_id: str, event_id: str) -> None:
        self.stream_id, self.event_id = stream_id, event_id
        super().__init__(
            f"event {event_id} is in stream {stream_id!r} already, but not all events appended with it are: "
            "repeat an append unchanged, or give new events new ids"
        )


class OutcomeUnknownError(StoreError):
    """The storage did not say whether the commit landed. Append the same events (same ids) again: that is safe."""


class ClockSkewError(StoreError):
    """The log's newest time is far ahead of this machine's clock; nothing was written. Set the clocks right."""


class TableRefusedError(StoreError):
    """What lies at `uri` is not a log this store may use: absent, torn, foreign, or of a newer format."""

    def __init__(self, uri: str, problem: str, remedy: str) -> None:
        self.uri, self.problem, self.remedy = uri, problem, remedy
        super().__init__(f"{uri}: {problem}; {remedy}")


class NewerTableError(TableRefusedError):
    """The table at `uri` is of a newer format: a newer store writes it. Leave it alone, and update this process."""


class StoreClosedError(StoreError):
    """This handle can serve no more (closed, forked, or after a failed fsync). Open the store again."""


class StorageError(StoreError):
    """Disk or object store failed and nothing was committed. Mend the storage, then try again."""


class StorageUnavailableError(StorageError):
    """The object store has not answered for a while and is left alone: nothing was sent. Try again after `retry_after_s` seconds.

    `failures` calls in a row failed since `since`, the last one because of `reason`.
    """

    def __init__(self, place: str, failures: int, since: datetime, reason: str, retry_after_s: float) -> None:
        self.place, self.failures, self.since, self.reason, self.retry_after_s = place, failures, since, reason, retry_after_s
        super().__init__(
            f"{place} does not answer: {failures} calls in a row have failed since {since:%Y-%m-%d %H:%M:%S} UTC, the last one with "
            f"({reason}); nothing was sent and nothing was committed; the next try is made in {retry_after_s:.1f} s: try again then"
        )


def _shown(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 120 else f"{text[:100]}… ({len(text):,} characters)"


def _named(expected: object) -> str:
    return str(getattr(expected, "name", expected))

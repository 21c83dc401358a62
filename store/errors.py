"""Why the store says no: one class for each decision that a caller can take."""

from __future__ import annotations

import pickle
from collections.abc import Sequence
from datetime import datetime
from typing import Any, NamedTuple, Self, TypeVar

from store.correlation import cause

E = TypeVar("E", bound="StoreError")


class StoreError(Exception):
    """Root of every error of the store. `remedy`: what to do. `correlation_id`: of the operation, when it or its events carried one.

    `stream_id`: the stream that it is about, the first of several. `expected`, `actual`: the versions that did not fit.

    It can be copied, and pickled with all its fields; of one that cannot be pickled the other process sees what it looks like.
    """

    remedy: str = "read the message, mend the cause, and try again"
    stream_id: str | None = None
    expected: object = None
    actual: int | None = None

    def __init__(self, *told: object) -> None:
        super().__init__(*told)
        self.correlation_id = cause().correlation_id

    @property
    def outline(self) -> str:
        """The message without any value out of an event: for what outlives the keys of personal data, such as a log."""
        return str(self)

    def told(self, correlation_id: str | None, stream_id: str | None = None) -> Self:
        """The same error for one of several operations that it ends."""
        twin = self.__copy__().of_stream(stream_id)
        twin.correlation_id = correlation_id
        return twin

    def of_stream(self, stream_id: str | None) -> Self:
        """This error, which is about that stream unless it knows its own."""
        self.stream_id = self.stream_id or stream_id
        return self

    def __copy__(self) -> Self:
        twin = _bare(type(self), self.args)
        twin.__cause__ = self.__cause__
        twin.__dict__.update({name: list(value) if name == "__notes__" else value for name, value in self.__dict__.items()})
        return twin

    def __reduce__(self) -> tuple[Any, ...]:
        """From its fields: an exception is rebuilt by its message otherwise, which is not what the classes below are made from."""
        return _bare, (type(self), self.args), {name: _picklable(value) for name, value in self.__dict__.items()}

    def __str__(self) -> str:
        message = super().__str__()
        return f"{message} [correlation_id={self.correlation_id}]" if self.correlation_id else message


class InvalidEventError(StoreError, ValueError):
    """The input breaks a rule; nothing was written. Mend `field` as `remedy` says and append again."""

    def __init__(self, field: str, value: object, problem: str, remedy: str) -> None:
        self.field, self.value, self.problem, self.remedy = field, value, problem, remedy
        super().__init__(f"{field} {_shown(value)} {problem}: {remedy}")

    @property
    def outline(self) -> str:
        place = ".".join(self.field.split(".")[:2])              # names below may be personal
        return f"{place} ({type(self.value).__name__}) breaks a rule: {self.remedy}"


class Conflict(NamedTuple):
    """One failed check: the stream, what the caller expected and the version it really has."""

    stream_id: str
    expected: object
    actual: int


class WrongExpectedVersionError(StoreError):
    """The stream is not where the caller thought; nothing was written. Load again and decide again.

    `stream_id, expected, actual` are those of the first failed check; `conflicts` has all of them.
    """

    remedy = "load again and decide again"

    def __init__(self, conflicts: Sequence[Conflict]) -> None:
        self.conflicts = tuple(conflicts)
        self.stream_id, self.expected, self.actual = self.conflicts[0]
        told = "; ".join(f"stream {c.stream_id!r} is at version {c.actual}, expected {_named(c.expected)}" for c in conflicts)
        super().__init__(f"{told}: load again and decide again")


class ConditionFailedError(StoreError):
    """Something has happened that `fail_if` excludes; nothing was written. Read on from `after`, and decide again.

    `position, stream_id, event_type`: of the first such event that was found; `query`: what was asked.
    """

    remedy = "read on from after and decide again"

    def __init__(self, query: object, after: int, position: int, stream_id: str, event_type: str) -> None:
        self.query, self.after, self.position, self.stream_id, self.event_type = query, after, position, stream_id, event_type
        super().__init__(
            f"an event of type {event_type!r} in stream {stream_id!r}, at position {position:,}, matches ({query}) and was not seen by who "
            f"had read up to position {after:,}: read on from there and decide again"
        )


class StreamEndedError(StoreError):
    """The stream takes no more events: it was closed, or, with `tombstoned`, its id may never be used again. Nothing was written.

    Append to another stream.
    """

    remedy = "append to another stream"

    def __init__(self, stream_id: str, tombstoned: bool) -> None:
        self.stream_id, self.tombstoned = stream_id, tombstoned
        how = "was tombstoned, so it takes no events for ever" if tombstoned else "was closed, so it can be read and takes no more events"
        super().__init__(f"stream {stream_id!r} {how}: {self.remedy}")


class LogSealedError(StoreError):
    """The log has ended, and `logs` go on in its place: the warehouse was split. Nothing was written; open the warehouse anew, and append again."""

    remedy = "open the warehouse anew, and append the same again"

    def __init__(self, uri: str, logs: Sequence[str]) -> None:
        self.uri, self.logs = uri, tuple(logs)
        super().__init__(f"the log {uri} has ended, and {', '.join(self.logs)} go on in its place: {self.remedy}")


class CrossLogError(StoreError):
    """What shall happen at once concerns several logs of a warehouse, and only one log can decide it; nothing was written.

    `logs`: the logs concerned. A warehouse of one log can do it.
    """

    remedy = "do it log by log, or keep to a warehouse of one log"

    def __init__(self, what: str, logs: Sequence[str], remedy: str) -> None:
        self.what, self.logs, self.remedy = what, tuple(logs), remedy
        super().__init__(f"{what} concerns several logs ({', '.join(self.logs)}), and only one of them can decide at once: {remedy}")


class ContentionError(StoreError):
    """Others were first for as long as `transact` had patience; nothing was written. Try again later, or decide less often on this ground.

    `conflict`: the last one. `stream_id, expected, actual`: its own, where it was a stream's version.
    """

    remedy = "try again later, or raise patience_s"

    def __init__(self, ground: str, conflict: StoreError, attempts: int, seconds: float) -> None:
        self.ground, self.conflict, self.attempts, self.seconds = ground, conflict, attempts, seconds
        self.stream_id, self.expected, self.actual = (getattr(conflict, name, None) for name in ("stream_id", "expected", "actual"))
        super().__init__(
            f"others were first on {ground} in each of {attempts} attempts within {seconds:.1f} s, at last: "
            f"{conflict.args[0]}; try again later, or raise patience_s"
        )


class NestedDecisionError(StoreError):
    """A `decide` called `transact` or `append`: it may be called often, and must do nothing but decide. Return the events instead."""

    remedy = "return the events from decide, or decide on several streams by transact_many"

    def __init__(self) -> None:
        super().__init__(f"nothing can be decided or appended within a decision: {self.remedy}")


class UnknownEventTypeError(StoreError):
    """A stream holds an event of a type, or a newer shape, that this code does not know; a state without it may be wrong.

    Deploy code that knows it, or give the aggregate `unknown=` to say what such events do to the state.
    """

    remedy = "register the type, deploy the code that knows it, or say with unknown= what such events do to the state"

    def __init__(self, type: str, schema_version: int) -> None:
        self.type, self.schema_version = type, schema_version
        super().__init__(
            f"events of type {type!r} with schema_version {schema_version} are not known here: register the type, deploy the code that "
            "knows it, or say with unknown= what they do to the state"
        )


class DuplicateEventError(StoreError):
    """Some of these events are in the log already and some are not; nothing was written. Give new events new ids."""

    remedy = "repeat an append unchanged, or give new events new ids"

    def __init__(self, stream_id: str, event_id: str) -> None:
        self.stream_id, self.event_id = stream_id, event_id
        super().__init__(
            f"event {event_id} is in stream {stream_id!r} already, but not all events appended with it are: "
            "repeat an append unchanged, or give new events new ids"
        )


class OutcomeUnknownError(StoreError):
    """The storage did not say whether the commit landed. Append the same events (same ids) again: that is safe."""

    remedy = "append the same events (same ids) again"


class ClockSkewError(StoreError):
    """The log's newest time is far ahead of this machine's clock; nothing was written. Set the clocks right."""

    remedy = "set the clocks right"


class TableRefusedError(StoreError):
    """What lies at `uri` is not a log this store may use: absent, torn, foreign, or of a newer format."""

    def __init__(self, uri: str, problem: str, remedy: str) -> None:
        self.uri, self.problem, self.remedy = uri, problem, remedy
        super().__init__(f"{uri}: {problem}; {remedy}")


class TableMovedError(StoreError):
    """Another writer of the table committed first; nothing was written. Take a new turn, and see what there is left to do."""

    remedy = "take a new turn, and see what there is left to do"

    def __init__(self, uri: str) -> None:
        self.uri = uri
        super().__init__(f"{uri}: another writer committed first; nothing was written: {self.remedy}")


class EventTypesError(StoreError, ValueError):
    """Event types, steps or a catalogue that cannot stand; nothing was made. Mend `subject` as `remedy` says."""

    def __init__(self, subject: str, problem: str, remedy: str) -> None:
        self.subject, self.problem, self.remedy = subject, problem, remedy
        super().__init__(f"{subject} {problem}: {remedy}")


class IncompatibleTypesError(StoreError, ValueError):
    """New event types that old events, or old code, could not live with. Mend each of `incompatibilities` as its remedy says."""

    def __init__(self, mode: str, incompatibilities: Sequence[object]) -> None:
        self.mode, self.incompatibilities = mode, tuple(incompatibilities)
        super().__init__(f"the event types are not {mode} compatible:\n" + "\n".join(f"- {each}" for each in incompatibilities))


class UnreadableEventError(StoreError):
    """An event in the log does not fit the event types; nothing was changed. Mend the class or the step as `remedy` says, then read again.

    What the table read did not tell of the event (`stream_id`, `version`, `position`, `event_id`) is None. `bare_reason`: the reason without any
    value out of the event.
    """

    def __init__(
        self,
        type: str,
        schema_version: int,
        reason: str,
        remedy: str,
        *,
        stream_id: str | None = None,
        version: int | None = None,
        position: int | None = None,
        event_id: str | None = None,
        bare_reason: str | None = None,
    ) -> None:
        self.type, self.schema_version, self.reason, self.remedy = type, schema_version, reason, remedy
        self.bare_reason = reason if bare_reason is None else bare_reason
        self.stream_id, self.version, self.position, self.event_id = stream_id, version, position, event_id
        places = {"stream": stream_id, "version": version, "position": position, "event_id": event_id}
        place = ", ".join(f"{name} {value!r}" for name, value in places.items() if value is not None)
        self._event = f"{type} {schema_version}{f' ({place})' if place else ''}"
        super().__init__(f"{self._event} cannot be read, {reason}: {remedy}")

    @property
    def outline(self) -> str:
        return f"{self._event} cannot be read, {self.bare_reason}: {self.remedy}"


class NewerTableError(TableRefusedError):
    """The table at `uri` is of a newer format: a newer store writes it. Leave it alone, and update this process."""


class StoreClosedError(StoreError):
    """This handle can serve no more (closed, forked, or after a failed fsync). Open the store again."""

    remedy = "open the store again"


class StorageError(StoreError):
    """Disk or object store failed and nothing was committed. Mend the storage, then try again."""

    remedy = "mend the storage, then try again"


class StorageUnavailableError(StorageError):
    """The object store has not answered for a while and is left alone: nothing was sent. Try again after `retry_after_s` seconds.

    `failures` calls in a row failed since `since`, the last one because of `reason`.
    """

    remedy = "try again after retry_after_s seconds"

    def __init__(self, place: str, failures: int, since: datetime, reason: str, retry_after_s: float) -> None:
        self.place, self.failures, self.since, self.reason, self.retry_after_s = place, failures, since, reason, retry_after_s
        super().__init__(
            f"{place} does not answer: {failures} calls in a row have failed since {since:%Y-%m-%d %H:%M:%S} UTC, the last one with "
            f"({reason}); nothing was sent and nothing was committed; the next try is made in {retry_after_s:.1f} s: try again then"
        )


class AccessDeniedError(StorageError):
    """These credentials may not do that: storage refused to `action` the object at `place`, and nothing was committed. It is not tried again.

    `capability`: the least that can do it, read-only, append-only or maintenance (docs/access.md). Use credentials that have it; what an
    object holds, and whether it is there, is not known.
    """

    remedy = "use credentials that have the capability, as docs/access.md says"

    def __init__(self, action: str, place: str, capability: str, reason: str) -> None:
        self.action, self.place, self.capability, self.reason = action, place, capability, reason
        hint = "; S3 says so of an object that is absent, too, where s3:ListBucket is not allowed" if action == "read" and "://" in place else ""
        super().__init__(
            f"storage refused to {action} {place} ({reason}){hint}: nothing was committed; that takes the {capability} capability, "
            "which these credentials do not have: docs/access.md says how they get it"
        )


class QueryRefusedError(StoreError):
    """A query of others was not answered, because of `problem`: change it."""

    remedy = "change the query"

    def __init__(self, problem: str, remedy: str) -> None:
        self.problem, self.remedy = problem, remedy
        super().__init__(f"the query is refused, {problem}: {remedy}")


def _bare(kind: type[E], args: tuple[object, ...]) -> E:
    return kind.__new__(kind, *args)


def _picklable(value: object) -> object:
    try:
        pickle.loads(pickle.dumps(value))          # both ways: many an exception can only be pickled
    except Exception:                              # whatever the application has put into an event, or its classes raise
        return _shown(value)
    return value


def _shown(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 120 else f"{text[:100]}… ({len(text):,} characters)"


def _named(expected: object) -> str:
    return str(getattr(expected, "name", expected))

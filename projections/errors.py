"""Why a projection says no: one class for each decision that a caller can take."""

from __future__ import annotations

from datetime import datetime
from typing import Any, NamedTuple


class ProjectionError(Exception):
    """Root of every error of the projections. Nothing half-done is left: run again, and the work goes on at the checkpoint."""

    def __reduce__(self) -> tuple[Any, ...]:
        """From its fields: an exception is rebuilt by its message otherwise, which is not what the classes below are made from."""
        return _bare, (type(self), self.args), self.__dict__


class Fault(NamedTuple):
    """One thing wrong with a declaration, and what to do about it."""

    field: str
    problem: str
    remedy: str


class DeclarationError(ProjectionError, ValueError):
    """A projection is declared wrongly. Mend `fault.field` as `fault.remedy` says."""

    def __init__(self, projection: str, fault: Fault) -> None:
        self.projection, self.fault = projection, fault
        super().__init__(f"projection {projection!r}: {fault.field} {fault.problem}: {fault.remedy}")


class ApplyError(ProjectionError):
    """The projection could not turn these events into rows; none of their batch is applied. Mend it, raise its version if rows change, run again.

    `first`, `last`: positions. Where it is known which event it was they are the same, and `stream_id`, `type` and `correlation_id` tell of it.
    """

    def __init__(
        self,
        projection: str,
        first: int,
        last: int,
        problem: str,
        *,
        stream_id: str | None = None,
        type: str | None = None,
        correlation_id: str | None = None,
    ) -> None:
        self.projection, self.first, self.last, self.problem = projection, first, last, problem
        self.stream_id, self.type, self.correlation_id = stream_id, type, correlation_id
        told = {"stream": stream_id, "type": type, "correlation id": correlation_id}
        event = ", ".join(f"{name} {value!r}" for name, value in told.items() if value is not None)
        where = f"event at position {first}" if first == last else f"events at positions {first} to {last}"
        super().__init__(f"projection {projection!r} failed on the {where}{f' ({event})' if event else ''}: {problem}")


class CheckpointMovedError(ProjectionError):
    """Another runner of the same projection committed first; nothing of ours was written. Leave it to that one, or run again."""

    def __init__(self, uri: str, checkpoint: int) -> None:
        self.uri, self.checkpoint = uri, checkpoint
        super().__init__(f"{uri}: another runner moved the checkpoint on from {checkpoint}; nothing was written: leave it to that one, or run again")


class CheckpointBeyondHeadError(ProjectionError):
    """The read model knows more events than the log holds: it belongs to another log, or the log was put back. Rebuild it."""

    def __init__(self, uri: str, checkpoint: int, head: int) -> None:
        self.uri, self.checkpoint, self.head = uri, checkpoint, head
        super().__init__(f"{uri}: the checkpoint {checkpoint} lies beyond the head {head} of the log: rebuild it, or give it its own log")


class NeedsRebuildError(ProjectionError):
    """The declaration has changed since these rows were made; applying it to them would mix the two. Nothing was written: rebuild it."""

    def __init__(self, projection: str, problem: str) -> None:
        self.projection, self.problem = projection, problem
        super().__init__(f"projection {projection!r} needs rebuild: {problem}: run `rebuild`; what serves goes on serving meanwhile")


class BuildError(ProjectionError):
    """There is no such build, or not one with which that can be done. Nothing was changed."""

    def __init__(self, projection: str, problem: str, remedy: str) -> None:
        self.projection, self.problem, self.remedy = projection, problem, remedy
        super().__init__(f"projection {projection!r}: {problem}: {remedy}")


class UnderWayError(ProjectionError):
    """Somebody is making a build of this projection. Leave it to that one, or stop it; nothing was changed."""

    def __init__(self, projection: str, owner: str, since: datetime) -> None:
        self.projection, self.owner, self.since = projection, owner, since
        problem = f"is being rebuilt by {owner} since {since:%Y-%m-%d %H:%M:%S} UTC"
        super().__init__(f"projection {projection!r} {problem}: wait until it is done, or stop it")


class ExecutorError(ProjectionError):
    """Where the tasks of a fill were to run, they cannot. What was committed stays; mend it as `remedy` says, or take another executor."""

    def __init__(self, executor: str, problem: str, remedy: str) -> None:
        self.executor, self.problem, self.remedy = executor, problem, remedy
        super().__init__(f"{executor}: {problem}: {remedy}")


class PausedError(ProjectionError):
    """Somebody paused this read model. Leave it, or resume it."""

    def __init__(self, uri: str, since: datetime, why: str) -> None:
        self.uri, self.since, self.why = uri, since, why
        super().__init__(f"{uri} is paused since {since:%Y-%m-%d %H:%M:%S} UTC ({why}): leave it, or resume it")


class BehindError(ProjectionError):
    """The read model has not got that far in time. Wait longer, or see to it that something follows the log."""

    def __init__(self, uri: str, checkpoint: int, position: int, timeout_s: float) -> None:
        self.uri, self.checkpoint, self.position = uri, checkpoint, position
        super().__init__(f"{uri} is at position {checkpoint}, not at {position}, after {timeout_s:g} s: is anything following the log? See `follow`")


class ReadModelRefusedError(ProjectionError):
    """What lies at `uri` is torn, or is not this projection's read model."""

    def __init__(self, uri: str, problem: str, remedy: str) -> None:
        self.uri, self.problem, self.remedy = uri, problem, remedy
        super().__init__(f"{uri}: {problem}; {remedy}")


class PublishError(ProjectionError):
    """The warehouse cannot be published like this; what was published before is as it was. Mend it as `remedy` says."""

    def __init__(self, of: str, problem: str, remedy: str) -> None:
        self.of, self.problem, self.remedy = of, problem, remedy
        super().__init__(f"{of}: {problem}: {remedy}")


class TargetUnavailableError(ProjectionError):
    """An outside target has not answered for a while and is left alone: it was not called. Try again after `retry_after_s` seconds.

    `failures` calls in a row failed since `since`, the last one because of `reason`.
    """

    def __init__(self, target: str, failures: int, since: datetime, reason: str, retry_after_s: float) -> None:
        self.target, self.failures, self.since, self.reason, self.retry_after_s = target, failures, since, reason, retry_after_s
        super().__init__(
            f"target {target!r} does not answer: {failures} calls in a row have failed since {since:%Y-%m-%d %H:%M:%S} UTC, the last one with "
            f"({reason}); it was not called; the next try is made in {retry_after_s:.1f} s: try again then"
        )


class EffectError(ProjectionError):
    """An effect could not be brought about for now; the reactor's mark stands before the event. Run again when what it needs is back."""

    def __init__(self, reactor: str, position: int, stream_id: str, problem: str) -> None:
        self.reactor, self.position, self.stream_id, self.problem = reactor, position, stream_id, problem
        super().__init__(
            f"reactor {reactor!r} could not bring about what follows from the event at position {position} (stream {stream_id!r}): {problem}; "
            "nothing is lost: run it again, and it goes on there"
        )


class SupersededError(ProjectionError):
    """A newer version of the reactor has taken over its mark. Stop running this one; to go back to old code, give it a higher version."""

    def __init__(self, reactor: str, version: int, newer: int) -> None:
        self.reactor, self.version, self.newer = reactor, version, newer
        super().__init__(f"reactor {reactor!r} is at version {newer} by now, this is {version}: stop it, or raise its version beyond {newer}")


class BeyondHeadError(ProjectionError, ValueError):
    """There is no such position in the log yet. Wait for it, or ask for one up to `head`."""

    def __init__(self, position: int, head: int) -> None:
        self.position, self.head = position, head
        super().__init__(f"position {position} lies beyond the head {head} of the log: wait for it, or ask for a position from 0 to {head}")


class KeyRefusedError(ProjectionError, ValueError):
    """Rows cannot be found by such a key. Mend it as `remedy` says."""

    def __init__(self, of: str, problem: str, remedy: str) -> None:
        self.of, self.problem, self.remedy = of, problem, remedy
        super().__init__(f"{of} {problem}: {remedy}")


def _bare(kind: type[ProjectionError], args: tuple[object, ...]) -> ProjectionError:
    return kind.__new__(kind, *args)

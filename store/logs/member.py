"""One log of a warehouse of several: its streams may have begun in a log that was split, and it tells when what it holds was recorded."""

from __future__ import annotations

import time
from collections.abc import Sequence

import pyarrow as pa

from store.delta.amendment import amend
from store.delta.commits import Commit, erasing, sealing, ticking
from store.delta.delta_store import DeltaEventStore
from store.errors import CrossLogError, InvalidEventError, LogSealedError
from store.intake import Intake
from store.logs.log_name import LogName
from store.logs.order import Bounds
from store.observer import Observer
from store.retention.standing import Standing
from store.selection import Selection
from store.storage.objects import Objects
from store.subscription import Bell
from store.times import Clock

_TIMED = ("position", "recorded_at")


class Member(DeltaEventStore):
    """`earlier`: the log that was split, if this is a part of one. Its streams go on here at the versions that they had there.

    Positions are those of this log; of an event that is in an earlier log, those of that one.
    """

    def __init__(
        self,
        name: LogName,
        earlier: Member | None,
        objects: Objects,
        snapshots_uri: str,
        observer: Observer,
        clock: Clock,
        intake: Intake,
        bell: Bell,
        upkeep: bool = True,
    ) -> None:
        self.name, self.earlier = name, earlier
        self._parts: Sequence[LogName] = ()
        self.may_tick = True
        """Until storage has refused it: who may only read cannot promise anything."""
        self.generation: int = 0 if earlier is None else earlier.generation + 1
        floor, began = (0, None) if earlier is None else (earlier._log.recorded_at, earlier.reads)
        super().__init__(objects, observer, clock, intake, snapshots_uri, floor, upkeep, began)
        if earlier is not None:
            self.recollection.add(earlier.refreshed)
        self._bell = bell                          # one for all logs: who follows them is woken by each

    @property
    def parts(self) -> Sequence[LogName]:
        """The names of the logs that it was split into."""
        if len(self._parts) < len(self.sealed):
            self._parts = tuple(map(LogName.parse, self.sealed))
        return self._parts

    @property
    def promised_at(self) -> int:
        """No event to come is recorded before it, in microseconds."""
        return self._log.promised_at

    @property
    def uri(self) -> str:
        """Where its table is."""
        return self._objects.uri

    @property
    def recorded_at(self) -> int:
        """When its last event was recorded, or a little later."""
        return self._log.recorded_at

    @property
    def known_head(self) -> int:
        """The last position that was read of; nothing is asked of the storage."""
        return self._log.head

    def recorded_by(self, moment: int) -> int:
        """The last position recorded by that microsecond, as far as is known here."""
        return self.reads.recorded_by(moment)

    def bounds(self) -> Bounds:
        segments = self._log.segments()
        return Bounds([(s.first, s.last, s.recorded_from, s.recorded_until) for s in segments], max((s.last for s in segments), default=0))

    def times(self, after: int, until: int) -> pa.ChunkedArray:
        """When the events at positions (after, until] were recorded, in microseconds."""
        return self.reads.rows(Selection(after, until), _TIMED)["recorded_at"].cast(pa.int64())

    def locations(self, until: int) -> list[str]:
        """The files that hold positions up to that one."""
        return [self._objects.location(segment.path) for segment in self._log.segments() if segment.first <= until]

    def tick(self, moment: int) -> None:
        """Promise that no event to come is recorded before that microsecond: durably, for writers in all processes."""

        def decide(commit_id: str, version: int) -> tuple[Commit, bytes] | None:
            if self._log.promised_at >= moment or self._log.sealed:
                return None
            recorded_at = max(moment, self._log.recorded_at)
            return Commit(version, commit_id, recorded_at, self._log.head), ticking(commit_id, recorded_at, self._log.head, _now_ms())

        amend(self._objects, self._log, decide)

    def standing(self, stream_id: str) -> Standing:
        """How retention holds the stream now."""
        self._refresh()
        return self.standings.of(stream_id)

    def seal(self, logs: Sequence[str]) -> None:
        """End the log: the next event of its streams goes to one of these. LogSealedError: it has ended in other ones.

        InvalidEventError: it has rules of retention.
        """

        def decide(commit_id: str, version: int) -> tuple[Commit, bytes] | None:
            if self._log.sealed:
                return None
            if self.standings.policy():
                problem = "has rules of retention, which one log decides and several could not"
                raise InvalidEventError("log", str(self.name), problem, "copy what is to be kept into a new warehouse, and split that")
            assert self._log.table is not None
            table = self._log.table._replace(logs=tuple(logs))
            body = sealing(commit_id, self._log.recorded_at, self._log.head, _now_ms(), table)
            return Commit(version, commit_id, self._log.recorded_at, self._log.head, table=table), body

        while not self._log.sealed:
            amend(self._objects, self._log, decide)
        if self._log.sealed != tuple(logs):
            raise LogSealedError(self._objects.uri, self._log.sealed)

    def refreshed(self) -> None:
        """Learn what has happened to this log, and to those that it came of, though they have ended: events in them may have been erased."""
        self._log.refresh()
        if self.earlier is not None:
            self.earlier.refreshed()

    def announce(self) -> None:
        """Tell whoever follows this log that events were erased, perhaps in the one that it came of: nobody follows a log that has ended."""

        def decide(commit_id: str, version: int) -> tuple[Commit, bytes] | None:
            if self._log.sealed:
                return None
            body = erasing(commit_id, self._log.recorded_at, self._log.head, [], [], _now_ms())
            return Commit(version, commit_id, self._log.recorded_at, self._log.head, erases=True), body

        amend(self._objects, self._log, decide)

    # Below ----------------------------------------------------------------------------------------------------

    def _check_ruled(self) -> None:
        """Rules stand in a stream of the log that they are for, and which log the stream `$retention` belongs to its hash says."""
        if self.earlier is not None or self.sealed:
            raise CrossLogError("retention", [str(self.name)], "keep to a warehouse of one log")

    def _check_goes_on(self) -> None:
        """Whoever has all logs goes on in the next one."""

def _now_ms() -> int:
    return time.time_ns() // 1_000_000

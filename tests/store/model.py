"""The log in plain Python, as its contract says it: a list of rows, and the outcomes of an append, worked out by search."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from typing import Any, NamedTuple

from store import (
    ANY,
    STREAM_EXISTS,
    Append,
    Appended,
    ConditionFailedError,
    DuplicateEventError,
    InvalidEventError,
    StreamEndedError,
    TableAppended,
    WrongExpectedVersionError,
)

Refusal = type[Exception]


class Row(NamedTuple):
    """An event in the log; `position` n is the n-th of the list."""

    position: int
    stream_id: str
    version: int
    event_id: str


class Model:
    """What a store must hold, and answer."""

    def __init__(self) -> None:
        self.rows: list[Row] = []
        self.now = 1_700_000_000_000_000
        self.times: list[int] = []
        """When each row was recorded."""
        self.truncated: dict[str, int] = {}
        self.deleted: dict[str, int] = {}
        self.tombstoned: set[str] = set()
        self.closed: set[str] = set()
        self.rules: dict[str, tuple[int | None, int | None]] = {}
        """By stream or category: the age in microseconds, and the count, up to which events are kept."""
        self.removed: set[int] = set()
        """Positions of which only husks are left."""

    def stream(self, stream_id: str) -> list[Row]:
        return [row for row in self.rows if row.stream_id == stream_id]

    def version(self, stream_id: str) -> int:
        return len(self.stream(stream_id))

    def gone(self, stream_id: str) -> bool:
        return stream_id in self.tombstoned or 0 < self.deleted.get(stream_id, 0) == self.version(stream_id)

    def shown_version(self, stream_id: str) -> int:
        return 0 if self.gone(stream_id) else self.version(stream_id)

    def visible(self, stream_id: str) -> list[Row]:
        """What a reader of the stream sees."""
        rows = self.stream(stream_id)
        max_age, max_count = self.rules.get(stream_id, self.rules.get(stream_id.split("-")[0], (None, None)))
        hidden = max(self.truncated.get(stream_id, 0), self.deleted.get(stream_id, 0), len(rows) - (len(rows) if max_count is None else max_count))
        young = [row for row in rows if max_age is None or self.times[row.position - 1] > self.now - max_age]
        return [] if self.gone(stream_id) else [row for row in young if row.version > hidden]

    def keep(self, name: str, max_age: timedelta | None, max_count: int | None) -> None:
        self.rules[name] = None if max_age is None else max_age // timedelta(microseconds=1), max_count
        self._say(1)

    def truncate(self, stream_id: str, before: int) -> Refusal | None:
        if not before <= self.version(stream_id) + 1:
            return InvalidEventError
        if stream_id in self.tombstoned:
            return StreamEndedError
        if before - 1 > max(self.truncated.get(stream_id, 0), self.deleted.get(stream_id, 0)):
            self.truncated[stream_id] = before - 1
            self._say(2)
        return None

    def delete(self, stream_id: str, expected: Any) -> Refusal | None:
        if not self._holds(Append(stream_id, [], expected)):
            return WrongExpectedVersionError
        if stream_id in self.tombstoned:
            return StreamEndedError
        if self.shown_version(stream_id):
            self.deleted[stream_id] = self.version(stream_id)
            self._say(2)
        return None

    def tombstone(self, stream_id: str, expected: Any) -> Refusal | None:
        if not self._holds(Append(stream_id, [], expected)):
            return WrongExpectedVersionError
        if stream_id not in self.tombstoned:
            self.tombstoned.add(stream_id)
            self._say(2)
        return None

    def close(self, stream_id: str, expected: Any) -> Refusal | None:
        if not self._holds(Append(stream_id, [], expected)):
            return WrongExpectedVersionError
        if stream_id in self.tombstoned:
            return StreamEndedError
        if not self.version(stream_id):
            return InvalidEventError
        if stream_id not in self.closed:
            self.closed.add(stream_id)
            self._say(1)
        return None

    def remove(self) -> dict[str, int]:
        """How many events of each stream are removed that were not before."""
        streams = {row.stream_id for row in self.rows}
        hidden = {row.position: row.stream_id for s in streams for row in self.stream(s) if row not in self.visible(s)}
        fresh = [stream_id for position, stream_id in hidden.items() if position not in self.removed]
        self.removed |= set(hidden)
        if fresh:
            for _ in ("RemovalBegan", "HiddenEventsRemoved"):
                self._record("$audit", [""])
        return {stream_id: fresh.count(stream_id) for stream_id in fresh}

    def _say(self, events: int) -> None:
        """What is decided stands in the log, in streams of the store's own; a deed in another one, too. Their ids the store chooses."""
        for stream_id in ("$retention", "$audit")[:events]:
            self._record(stream_id, [""])

    def would_repeat_ids(self, parts: Sequence[Append]) -> bool:
        """Some event is in its stream already."""
        return any(event.event_id in [row.event_id for row in self.stream(part.stream_id)] for part in parts for event in part.events)

    def append_many(self, parts: Sequence[Append], broken: bool = False) -> list[Appended] | Refusal:
        """`broken`: something has happened that the append's condition excludes."""
        outcome = self.outcome(parts)
        if outcome is not None:
            return outcome
        if broken:
            return ConditionFailedError
        return [self._record(part.stream_id, [str(event.event_id) for event in part.events]) for part in parts]

    def append_table(self, keys: Sequence[tuple[str, str]]) -> TableAppended | Refusal:
        """Of these (stream id, event id)."""
        places = {(row.stream_id, row.event_id): row.position for row in self.rows}
        there = [places[key] for key in keys if key in places]
        if len(there) == len(keys) > 0:
            return TableAppended(there[0], there[-1])
        if there:
            return DuplicateEventError
        if any(stream_id in self.tombstoned | self.closed for stream_id, _ in keys):
            return StreamEndedError
        head = len(self.rows)
        for stream_id, event_id in keys:
            self._record(stream_id, [event_id])
        return TableAppended(head + 1, head + len(keys))

    def outcome(self, parts: Sequence[Append]) -> list[Appended] | Refusal | None:
        """None: all of it is new and will be appended."""
        there = [self._there(part) for part in parts]
        written = [place for part, place in zip(parts, there, strict=True) if part.events]
        if DuplicateEventError in there:
            return DuplicateEventError
        if written and None not in written:
            return [place or self._nowhere(part.stream_id) for part, place in zip(parts, there, strict=True)]
        if any(part.events and not place and part.stream_id in self.tombstoned | self.closed for part, place in zip(parts, there, strict=True)):
            return StreamEndedError
        if not all(place or self._holds(part) for part, place in zip(parts, there, strict=True)):
            return WrongExpectedVersionError
        return DuplicateEventError if any(there) else None

    def _there(self, part: Append) -> Any:
        """Where the events of this part are already; None for nowhere, an error for half."""
        rows, ids = self.stream(part.stream_id), [event.event_id for event in part.events]
        if not ids:
            return None
        if isinstance(part.expected_version, int):
            first = rows[part.expected_version :][: len(ids)]
            if part.expected_version == 0 and [row.event_id for row in first[:1]] != ids[:1]:
                first = rows[self.deleted.get(part.stream_id, 0) :][: len(ids)]        # it may have been begun anew
            rows = first
            if [row.event_id for row in rows[:1]] != ids[:1]:
                return None
            whole = [row.event_id for row in rows] == ids
        else:
            rows = [row for event_id in ids for row in rows if row.event_id == event_id]
            whole = len(rows) == len(ids)
        if not rows:
            return None
        return Appended(rows[0].version, rows[-1].version, rows[0].position, rows[-1].position) if whole else DuplicateEventError

    def _holds(self, part: Append) -> bool:
        version, gone = self.version(part.stream_id), self.gone(part.stream_id)
        if part.expected_version is STREAM_EXISTS:
            return version > 0 and not gone
        named = [ANY, version] if not gone else [ANY, 0] if part.stream_id in self.tombstoned else [ANY, 0, version]
        return part.expected_version in named

    def _nowhere(self, stream_id: str) -> Appended:
        version = self.version(stream_id)
        return Appended(version + 1, version, 1, 0)

    def _record(self, stream_id: str, event_ids: Sequence[str]) -> Appended:
        head, version = len(self.rows), self.version(stream_id)
        self.rows += [Row(head + n, stream_id, version + n, event_id) for n, event_id in enumerate(event_ids, 1)]
        self.times += [max([self.now, *self.times[-1:]])] * len(event_ids)
        return Appended(version + 1, version + len(event_ids), head + 1, head + len(event_ids))

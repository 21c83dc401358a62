"""The log in plain Python, as its contract says it: a list of rows, and the outcomes of an append, worked out by search."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

from store import ANY, STREAM_EXISTS, Append, Appended, ConditionFailedError, DuplicateEventError, TableAppended, WrongExpectedVersionError

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

    def stream(self, stream_id: str) -> list[Row]:
        return [row for row in self.rows if row.stream_id == stream_id]

    def version(self, stream_id: str) -> int:
        return len(self.stream(stream_id))

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
        if not all(place or self._holds(part) for part, place in zip(parts, there, strict=True)):
            return WrongExpectedVersionError
        return DuplicateEventError if any(there) else None

    def _there(self, part: Append) -> Any:
        """Where the events of this part are already; None for nowhere, an error for half."""
        rows, ids = self.stream(part.stream_id), [event.event_id for event in part.events]
        if not ids:
            return None
        if isinstance(part.expected_version, int):
            rows = rows[part.expected_version :][: len(ids)]
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
        version = self.version(part.stream_id)
        return part.expected_version in (ANY, version) or (part.expected_version is STREAM_EXISTS and version > 0)

    def _nowhere(self, stream_id: str) -> Appended:
        version = self.version(stream_id)
        return Appended(version + 1, version, 1, 0)

    def _record(self, stream_id: str, event_ids: Sequence[str]) -> Appended:
        head, version = len(self.rows), self.version(stream_id)
        self.rows += [Row(head + n, stream_id, version + n, event_id) for n, event_id in enumerate(event_ids, 1)]
        return Appended(version + 1, version + len(event_ids), head + 1, head + len(event_ids))

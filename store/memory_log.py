"""The rows of a log in memory: in log order, and by stream."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import pyarrow as pa

from store.append import Appended
from store.condition import Condition, Match
from store.draft import Draft, Row
from store.retention.policy import RETENTION, Policy, settled
from store.retention.terms import Terms
from store.rewrite import Rewrite
from store.schema import EVENTS, events_table
from store.verdict import Place


class MemoryLog:
    """One list of rows in log order, one list of places per stream. A judge asks it what is there."""

    def __init__(self) -> None:
        self._rows: list[tuple[Any, ...]] = []
        self._recorded: list[int] = []
        self._streams: dict[str, list[tuple[str, Place]]] = {}
        self.policy = Policy()

    @property
    def head(self) -> int:
        return len(self._rows)

    # What a judge asks ----------------------------------------------------------------------------------------

    @property
    def terms(self) -> Mapping[str, Terms]:
        return self.policy.streams

    def version(self, stream_id: str) -> int:
        return len(self._streams.get(stream_id, ()))

    def recall(self, stream_id: str, event_ids: Sequence[str]) -> list[Place | None]:
        places = dict(self._streams.get(stream_id, []))
        return [places.get(event_id) for event_id in event_ids]

    def placed(self, stream_id: str, after: int, limit: int) -> Sequence[tuple[str, Place]]:
        return self._streams.get(stream_id, [])[after : after + limit]

    def find(self, condition: Condition) -> Match | None:
        past = (row for row in self._rows[condition.after :] if condition.query.matches(row[4], row[10]))
        return next((Match(row[0], row[1], row[4]) for row in past), None)

    def find_events(self, stream_ids: pa.ChunkedArray, event_ids: pa.ChunkedArray) -> pa.Array:
        """Positions, null where there is no such event."""
        places = {(stream, event_id): place.position for stream, events in self._streams.items() for event_id, place in events}
        return pa.array([places.get(key) for key in zip(stream_ids.to_pylist(), event_ids.to_pylist(), strict=True)], pa.int64())

    # Reading --------------------------------------------------------------------------------------------------

    def recorded_by(self, moment: int) -> int:
        """The last position recorded by that microsecond; 0: none."""
        return bisect_right(self._recorded, moment)

    def version_by(self, stream_id: str, moment: int) -> int:
        """The version that the stream had at that microsecond."""
        return bisect_right(self.positions(stream_id), self.recorded_by(moment))

    def positions(self, stream_id: str) -> list[int]:
        return [place.position for _, place in self._streams.get(stream_id, ())]

    def events(self, positions: Iterable[int]) -> pa.Table:
        rows = [self._rows[position - 1] for position in positions]
        return events_table(zip(*rows, strict=True)) if rows else EVENTS.empty_table()

    def find_changed(self, what: Rewrite) -> pa.Table:
        """Which events a rewrite would change, with the columns that it is told."""
        events = self.events(range(1, self.head + 1))
        return events.filter(what.chosen(events)).select(what.told.names).cast(what.told) if len(events) else what.told.empty_table()

    def rewrite(self, what: Rewrite) -> None:
        events = self.events(range(1, self.head + 1))
        chosen = what.chosen(events)
        changed = what.changed(events, chosen).filter(chosen).select(["position", "tags", "data", "metadata"])
        for position, *said in zip(*(column.to_pylist() for column in changed.columns), strict=True):
            self._rows[position - 1] = (*self._rows[position - 1][:10], *said)

    # Writing --------------------------------------------------------------------------------------------------

    def add_all(self, parts: Sequence[Draft], moment: int) -> list[Appended]:
        answers = []
        for part in parts:
            version, head = self.version(part.stream_id), self.head
            self.add(part.rows, moment)
            answers.append(Appended(version + 1, self.version(part.stream_id), head + 1, self.head))
        return answers

    def add(self, rows: Iterable[Row], moment: int) -> None:
        """At the end of the log. The clock of the log never goes back."""
        recorded = max(moment, self._recorded[-1] if self._recorded else 0)
        for stream_id, event_id, type, schema_version, occurred, correlation_id, causation_id, tags, data, metadata in rows:
            stream = self._streams.setdefault(stream_id, [])
            place = Place(len(stream) + 1, self.head + 1)
            if stream_id == RETENTION:
                data = settled(data, self.version)
                self.policy = self.policy.after([(place.position, type, data)])
            stream.append((event_id, place))
            occurred = recorded if occurred is None else occurred
            said = schema_version, occurred, recorded, correlation_id, causation_id, tags, data, metadata
            self._rows.append((place.position, stream_id, place.version, event_id, type, *said))
            self._recorded.append(recorded)

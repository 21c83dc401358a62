"""The heads as they will be once the group in hand is durable: what the committer decides against."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from store.append import Appended
from store.condition import Condition, Match
from store.delta.heads import Heads, Stretch
from store.delta.trail import RecentTrail, Trail, steps_of
from store.draft import Draft, Row
from store.retention.policy import RETENTION, Policy, settled
from store.retention.terms import Terms
from store.verdict import Place


class Recent:
    """The places of streams' last events by id, sorted out only when somebody looks for an id."""

    def __init__(self) -> None:
        self.stretches: list[Stretch] = []
        self._places: dict[str, dict[str, Place]] = {}
        self._sorted = 0

    def of(self, stream_id: str) -> dict[str, Place]:
        for stretch in self.stretches[self._sorted :]:
            places = self._places.setdefault(stretch.stream_id, {})
            for offset, event_id in enumerate(stretch.event_ids):
                places[event_id] = Place(stretch.version + offset, stretch.position + offset)
        self._sorted = len(self.stretches)
        return self._places.get(stream_id, {})


class Pending:
    """The heads as they will be once the group in hand is durable: appends of one group build on one another."""

    def __init__(self, heads: Heads, head: int, recent_trail: RecentTrail, policy: Policy) -> None:
        self._heads, self._recent_trail = heads, recent_trail
        self.policy, self.said = policy, 0
        self._trail = Trail(head)
        self.head = head
        self.rows: list[Row] = []
        self.row_versions: list[int] = []
        self.versions: dict[str, int] = {}
        self.recent = Recent()

    @property
    def terms(self) -> Mapping[str, Terms]:
        return self.policy.streams

    def version(self, stream_id: str) -> int:
        version = self.versions.get(stream_id)
        return self._heads.version(stream_id) if version is None else version

    def recall(self, stream_id: str, event_ids: Sequence[str]) -> list[Place | None]:
        new = self.recent.of(stream_id)
        old = self._heads.recall(stream_id, event_ids)
        return [new.get(event_id) or before for event_id, before in zip(event_ids, old, strict=True)]

    def placed(self, stream_id: str, after: int, limit: int) -> Sequence[tuple[str, Place]]:
        new = [item for item in self.recent.of(stream_id).items() if item[1].version > after]
        old = self._heads.placed(stream_id, after, limit) if after < self._heads.version(stream_id) else ()
        return [*old, *new][:limit]

    def add(self, part: Draft) -> Appended:
        """Give the events of a draft their places."""
        stream_id, count, head = part.stream_id, len(part.rows), self.head
        version = self.version(stream_id)
        if count:
            self.rows += self._said(part.rows) if stream_id == RETENTION else part.rows
            self.row_versions += range(version + 1, version + count + 1)
            self.recent.stretches.append(Stretch(stream_id, version + 1, head + 1, part.event_ids))
            self.versions[stream_id] = version + count
            self.head = head + count
        return Appended(version + 1, version + count, head + 1, head + count)

    def _said(self, rows: Sequence[Row]) -> list[Row]:
        """What these say holds for the appends behind them."""
        rows = [(*row[:8], settled(row[8], self.version), row[9]) for row in rows]
        self.policy = self.policy.after((self.head + n, row[2], row[8]) for n, row in enumerate(rows, 1))
        self.said += len(rows)
        return rows

    def find(self, condition: Condition) -> Match | None:
        if condition.found is not None:
            return condition.found
        committed = self._recent_trail.find(condition.query, condition.looked, self._trail.after)
        if committed is not None:
            return committed
        self._trail.add(steps_of(self.rows[len(self._trail) :]))
        return self._trail.find(condition.query, condition.looked)

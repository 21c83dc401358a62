"""What the committer must know of streams: their versions, and the ids of their last events."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Sequence
from typing import Final, NamedTuple

import pyarrow as pa

from store.append import Appended
from store.delta.actions import Commit, Segment
from store.draft import Draft, Row
from store.verdict import REMEMBERED_EVENTS, Place

REMEMBERED_IDS: Final = 200_000
"""Event ids kept in memory over all streams; for others they are read from the log again."""

StreamReader = Callable[[str, int, int | None], pa.Table]
"""(stream, after, until) -> the columns event_id, version, position of those events."""


class Heads:
    """Stream versions as of the newest commit known. Change and ask it under the log's lock.

    Nothing is read until a stream is asked for that no commit since the opening has named: then the versions of
    all streams are read once, by columns. (Next: a derivable heads file in place of that pass.)
    """

    def __init__(self, segments: Callable[[], Sequence[Segment]], read_versions: Callable[[Segment], pa.Table], read_stream: StreamReader) -> None:
        self._segments, self._read_versions, self._read_stream = segments, read_versions, read_stream
        self._versions: dict[str, int] = {}
        self._complete = False
        self._places: OrderedDict[str, dict[str, Place]] = OrderedDict()
        self._unsorted: list[Stretch] = []
        self._remembered = 0

    def version(self, stream_id: str) -> int:
        known = self._versions.get(stream_id)
        if known is None:
            if not self._complete:
                self._learn(self._segments())
                self._complete = True
            known = self._versions.get(stream_id, 0)
        return known

    def recall(self, stream_id: str, event_ids: Sequence[str]) -> list[Place | None]:
        self._sort_out()
        if (places := self._places.get(stream_id)) is None:
            version = self.version(stream_id)
            places = dict(self.placed(stream_id, max(0, version - REMEMBERED_EVENTS), REMEMBERED_EVENTS)) if version else {}
            self._remember(stream_id, places)
        self._places.move_to_end(stream_id)
        return [places.get(event_id) for event_id in event_ids]

    def placed(self, stream_id: str, after: int, limit: int) -> Sequence[tuple[str, Place]]:
        events = self._read_stream(stream_id, after, after + limit)
        places = map(Place, events["version"].to_pylist(), events["position"].to_pylist())
        return list(zip(events["event_id"].to_pylist(), places, strict=True))

    def applied(self, commit: Commit) -> None:
        """A commit of anybody's: versions move on, ids of its streams are unknown until read."""
        if not commit.appends:
            return
        if commit.heads is None:
            # Its files say which versions its streams have. What an incomplete map holds may now be old: ask the files again.
            if self._complete:
                self._learn(commit.added)
            else:
                self._versions.clear()
            self._places.clear()
            self._unsorted.clear()
            self._remembered = 0
            return
        self._versions.update(commit.heads)
        self._sort_out()
        for stream_id in commit.heads:
            self._forget(stream_id)

    def committed(self, commit: Commit, stretches: Sequence[Stretch]) -> None:
        """A commit of ours, whose ids are known."""
        self._versions.update(commit.heads or {})
        self._unsorted += stretches
        if len(self._unsorted) > REMEMBERED_IDS:
            self._sort_out()

    def _sort_out(self) -> None:
        """Our own commits' ids, by stream; left until somebody asks, as appends at an exact version never do."""
        for stream_id, version, position, event_ids in self._unsorted:
            known = self._places.get(stream_id)
            if known is None and version > 1:      # what came before is not in memory, and half a memory is none
                continue
            places = zip(range(version, version + len(event_ids)), range(position, position + len(event_ids)), strict=True)
            self._forget(stream_id)
            self._remember(stream_id, (known or {}) | dict(zip(event_ids, map(Place._make, places), strict=True)))
        self._unsorted = []

    def _remember(self, stream_id: str, places: dict[str, Place]) -> None:
        if len(places) > 2 * REMEMBERED_EVENTS:
            places = dict(list(places.items())[-REMEMBERED_EVENTS:])
        self._places[stream_id] = places
        self._remembered += len(places)
        while self._remembered > REMEMBERED_IDS and len(self._places) > 1:
            self._forget(next(iter(self._places)))

    def _forget(self, stream_id: str) -> None:
        self._remembered -= len(self._places.pop(stream_id, ()))

    def _learn(self, segments: Sequence[Segment]) -> None:
        for segment in segments:
            newest = self._read_versions(segment).group_by("stream_id").aggregate([("version", "max")])
            for stream_id, version in zip(newest["stream_id"].to_pylist(), newest["version_max"].to_pylist(), strict=True):
                if version > self._versions.get(stream_id, 0):
                    self._versions[stream_id] = version


class Stretch(NamedTuple):
    """Events of one stream that follow one another, in one commit of ours."""

    stream_id: str
    version: int
    position: int
    event_ids: Sequence[str]


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

    def __init__(self, heads: Heads, head: int) -> None:
        self._heads = heads
        self.head = head
        self.rows: list[Row] = []
        self.row_versions: list[int] = []
        self.versions: dict[str, int] = {}
        self.recent = Recent()

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
            self.rows += part.rows
            self.row_versions += range(version + 1, version + count + 1)
            self.recent.stretches.append(Stretch(stream_id, version + 1, head + 1, part.event_ids))
            self.versions[stream_id] = version + count
            self.head = head + count
        return Appended(version + 1, version + count, head + 1, head + count)

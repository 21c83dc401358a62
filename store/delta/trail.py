"""The last events of the log in memory, as far as a condition asks of them: types and tags, found by either."""

from __future__ import annotations

import heapq
import threading
from bisect import bisect_right
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Final, NamedTuple

import pyarrow as pa

from store.condition import Match
from store.draft import Row
from store.errors import StorageError
from store.query import Item, Query

KEPT: Final = 10_000
"""Of the log's last events so many stay in memory, once a condition has asked for some."""


class Step(NamedTuple):
    """What a query asks of an event, and what a refusal tells of it."""

    stream_id: str
    type: str
    tags: Sequence[str]


class Trail:
    """The events of positions after `after`, without a gap. Sorted by tag and by type only when somebody asks."""

    def __init__(self, after: int) -> None:
        self.after = after
        self._steps: list[Step] = []
        self._sorted = 0
        self._by_tag: dict[str, list[int]] = {}
        self._by_type: dict[str, list[int]] = {}

    @property
    def head(self) -> int:
        """The position of the last one."""
        return self.after + len(self._steps)

    def __len__(self) -> int:
        return len(self._steps)

    def add(self, steps: Sequence[Step]) -> None:
        """The events that follow."""
        self._steps += steps

    def steps(self, count: int) -> list[Step]:
        """The last so many."""
        return self._steps[-count:]

    def find(self, query: Query, after: int) -> Match | None:
        """The first event past position `after` that matches."""
        self._sort()
        found = min((first for item in query.items if (first := self._first(item, after)) is not None), default=None)
        if found is None:
            return None
        step = self._steps[found - self.after - 1]
        return Match(found, step.stream_id, step.type)

    def _first(self, item: Item, after: int) -> int | None:
        for position in self._candidates(item, after):
            step = self._steps[position - self.after - 1]
            if item.matches(step.type, step.tags):
                return position
        return None

    def _candidates(self, item: Item, after: int) -> Iterator[int]:
        """By the tag that is carried least, else by type."""
        if item.tags:
            yield from _past(min((self._by_tag.get(tag, []) for tag in item.tags), key=len), after)
        elif item.types:
            yield from heapq.merge(*(_past(self._by_type.get(type, []), after) for type in item.types))
        else:
            yield from range(max(after, self.after) + 1, self.head + 1)

    def _sort(self) -> None:
        for position, step in enumerate(self._steps[self._sorted :], self.after + 1 + self._sorted):
            self._by_type.setdefault(step.type, []).append(position)
            for tag in step.tags:
                self._by_tag.setdefault(tag, []).append(position)
        self._sorted = len(self._steps)


class RecentTrail:
    """The trail of what is committed. Conditions ask for its end, over and over: it is read once, and own commits are added for nothing.

    `read`: (after, until) -> the events of these positions, in order, with the columns of a Step. It takes the log's lock: so `find` is to be
    called under it, and `warm` without.
    """

    def __init__(self, read: Callable[[int, int], pa.Table]) -> None:
        self._read = read
        self._lock = threading.RLock()
        self._trail: Trail | None = None
        self._asked = 0
        self._forgotten = 0

    def forget(self) -> None:
        """Some events may carry other tags now."""
        with self._lock:
            self._trail = None
            self._forgotten += 1

    def committed(self, after: int, rows: Sequence[Row]) -> None:
        """A commit of ours, of these events past position `after`. What others commit is read when somebody asks.

        The trail is let go when nobody has asked for long.
        """
        with self._lock:
            if self._trail is None or self._trail.head != after:
                return
            if after + len(rows) - self._asked > KEPT:
                self._trail = None
            else:
                self._trail.add(steps_of(rows))

    def warm(self, after: int, head: int) -> None:
        """Read what is missing of (after, head], in the caller's thread: who asks next, under the log's lock, need not."""
        if after >= head:
            return
        with self._lock:
            trail, forgotten = self._trail, self._forgotten
            start, end = (0, 0) if trail is None else (trail.after, trail.head)
        if trail is None or end < after or start > head:
            fresh = _trail(after, self._steps(after, head))
            with self._lock:
                if self._trail is trail and self._forgotten == forgotten:
                    self._trail, self._asked = fresh, head
            return
        older = self._steps(after, start) if after < start else []
        newer = self._steps(end, head) if end < head else []
        with self._lock:
            if self._forgotten != forgotten:
                return
            if self._trail is trail and trail.head == end:          # nobody else has read, or committed, in the meantime
                trail.add(newer)
            if self._trail is trail and older:
                self._trail = _trail(after, [*older, *trail.steps(len(trail))])

    def find(self, query: Query, after: int, head: int) -> Match | None:
        """The first event in (after, head] that matches."""
        if after >= head:
            return None
        with self._lock:
            forgotten, trail = self._forgotten, self._reaching(after, head)
            found = trail.find(query, after)
            if self._forgotten != forgotten:       # heard while it was read
                return found
            self._trail = trail if len(trail) <= 2 * KEPT else _trail(trail.head - KEPT, trail.steps(KEPT))
            self._asked = head
            return found

    def _reaching(self, after: int, head: int) -> Trail:
        trail = self._trail
        if trail is None or trail.head < after:
            return _trail(after, self._steps(after, head))
        if trail.head < head:
            trail.add(self._steps(trail.head, head))
        if trail.after > after:
            trail = _trail(after, [*self._steps(after, trail.after), *trail.steps(len(trail))])
        return trail

    def _steps(self, after: int, until: int) -> list[Step]:
        events = self._read(after, until)
        if len(events) != until - after:           # every place counts: a trail with a hole would find events at wrong positions
            raise StorageError(f"of the positions {after + 1} to {until} only {len(events)} were read: verify the log")
        return [Step(*step) for step in zip(*(events[name].to_pylist() for name in Step._fields), strict=True)]


def steps_of(rows: Iterable[Row]) -> list[Step]:
    return [Step(row[0], row[2], row[7]) for row in rows]


def _trail(after: int, steps: Sequence[Step]) -> Trail:
    trail = Trail(after)
    trail.add(steps)
    return trail


def _past(positions: list[int], after: int) -> Iterator[int]:
    return (positions[place] for place in range(bisect_right(positions, after), len(positions)))

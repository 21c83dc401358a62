"""What the committer must know of streams: their versions, and the ids of their last events."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from itertools import islice
from typing import Final, NamedTuple

import polars as pl
import pyarrow as pa
import pyarrow.compute as pc

from store.delta import head_runs
from store.delta.actions import Segment
from store.delta.commits import Commit
from store.delta.head_runs import HeadRun, hash_of
from store.storage.objects import Objects
from store.verdict import REMEMBERED_EVENTS, Place

REMEMBERED_IDS: Final = 100_000
"""Event ids kept in memory over all streams; for others they are read from the log again."""
REMEMBERED_STREAMS: Final = 100_000
"""Streams of commits not yet in a head run that are kept in memory; beyond that they are read from the log again."""
FEW: Final = 200
READS_WITHOUT: Final = 3
STALE_EVENTS: Final = 1 << 17
"""After so many new events a reader looks whether heads of them have been saved."""

StreamReader = Callable[[str, int, int, int], pa.Table]
"""(stream, after, until, position) -> the columns event_id, version, position of these versions; none lies before that position."""


@dataclass(slots=True)
class Page:
    """The versions of the streams that commits after position `after` touched."""

    after: int
    versions: dict[str, int] = field(default_factory=dict)


class Heads:
    """Stream versions as of the newest commit known. Change and ask it under the log's lock.

    Three layers, asked from new to old: pages (what commits since then listed), a gap (positions that neither a page
    nor a saved run knows, read from the files by columns when a stream is asked for that no page knows), and the
    saved head runs. So no lookup scans the log, and memory is bounded whatever was done before.
    """

    def __init__(
        self,
        objects: Objects,
        segments: Callable[[], Sequence[Segment]],
        read_versions: Callable[[Segment], pa.Table],
        read_stream: StreamReader,
        before: Callable[[str], int] | None = None,
    ) -> None:
        """`read_versions`: the columns stream_id, version, position of a segment.

        `before`: the version at which a stream came to this log, if streams may have begun in another.
        """
        self._objects, self._segments, self._read_versions, self._read_stream = objects, segments, read_versions, read_stream
        self._before = before
        self._runs: list[HeadRun] = []
        self._looked_at = self._spans_asked = 0
        self._pages = [Page(0)]
        self._places: OrderedDict[str, dict[str, Place]] = OrderedDict()
        self._unsorted: list[Stretch] = []
        self._remembered = 0

    # Versions ---------------------------------------------------------------------------------------------------

    def version(self, stream_id: str) -> int:
        known = self._fresh(stream_id)
        if known is None:
            self._cover()
            stream = hash_of(stream_id)
            known = next((head.version for run in reversed(self._runs) if (head := run.find(stream))), None)
        return known if known is not None else self._before(stream_id) if self._before else 0

    def known(self, stream_id: str) -> int | None:
        """The same, unless files would have to be read for it: then None."""
        if self._covered < self._pages[0].after and self._fresh(stream_id) is None:
            return None
        return self.version(stream_id)

    def versions(self, stream_ids: pl.Series) -> list[int]:
        """The same for many distinct streams, in one step."""
        if len(stream_ids) < FEW:
            return [self.version(stream_id) for stream_id in stream_ids]
        fresh = pl.Series([self._fresh(stream_id) for stream_id in stream_ids], dtype=pl.Int64)
        if fresh.null_count() == 0:
            return list(fresh)
        self._cover()
        hashes = head_runs.hashes(stream_ids)
        saved = [run.find_all(hashes)["version"] for run in reversed(self._runs)]
        known = pl.select(pl.coalesce(fresh, *saved, pl.lit(None, pl.Int64)))[:, 0]
        if self._before is None:
            return list(known.fill_null(0))
        return [self._before(stream_id) if version is None else version for stream_id, version in zip(stream_ids, known, strict=True)]

    def earliest(self, stream_ids: pl.Series) -> int | None:
        """No event of these streams lies before this position; None: none of them exists."""
        self._cover()
        hashes = head_runs.hashes(stream_ids)
        firsts = [self._pages[0].after + 1] if any(self._fresh(stream_id) for stream_id in stream_ids) else []
        firsts += [first for run in self._runs if (first := run.find_all(hashes)["first"].min()) is not None]
        return min(firsts, default=None)

    def spans(self, stream_id: str, head: int) -> list[tuple[int, int]]:
        """Ranges of positions outside of which no event of the stream lies.

        Reading the saved heads takes as long as a few reads without them, so a handle that reads but one stream does without.
        """
        self._spans_asked += 1
        if self._spans_asked > READS_WITHOUT:
            self._renew(head)
        stream = hash_of(stream_id)
        known = [(at.first, at.last) for run in self._runs if (at := run.find(stream))]
        return [*known, (self._covered + 1, head)]

    def uncovered(self, head: int) -> int:
        """How many positions no run knows."""
        self._renew(head)
        return head - self._covered

    # Commits ----------------------------------------------------------------------------------------------------

    def applied(self, commit: Commit) -> None:
        """A commit of anybody's: versions move on; ids of its events are read when they are asked for."""
        if not commit.appends:
            return
        if commit.heads is None:                   # its files say which versions its streams have
            self._forget_all(commit.head)
            return
        self._turn_to(commit)

    def committed(self, commit: Commit, stretches: Sequence[Stretch]) -> None:
        """A commit of ours, whose ids are known."""
        self._turn_to(commit)
        self._unsorted += stretches
        if len(self._unsorted) > REMEMBERED_IDS:
            self._sort_out()

    def restarted(self, head: int) -> None:
        self._forget_all(head)

    # Saving, off the append path --------------------------------------------------------------------------------

    def turn_page(self, head: int) -> None:
        """Begin a new page, so that the ones before it can go once a saved run covers position `head`."""
        if self._pages[-1].versions:
            self._pages.append(Page(head))

    def derive(self, after: int, until: int, segments: Sequence[Segment]) -> HeadRun:
        """The run of these positions, from the files. Needs no lock."""
        return head_runs.gathered(after, until, (self._within(s, after, until) for s in segments if s.last > after and s.first <= until))

    def install(self, chain: Sequence[HeadRun]) -> None:
        """Use these saved runs, and let go of the pages that they cover."""
        self._runs = list(chain)
        while len(self._pages) > 1 and self._pages[1].after <= self._covered:
            self._pages.pop(0)

    # Event ids --------------------------------------------------------------------------------------------------

    def recall(self, stream_id: str, event_ids: Sequence[str]) -> list[Place | None]:
        places = self._last_events(stream_id, self.version(stream_id))
        return [places.get(event_id) for event_id in event_ids]

    def placed(self, stream_id: str, after: int, limit: int) -> Sequence[tuple[str, Place]]:
        version = self.version(stream_id)
        if version - after <= REMEMBERED_EVENTS:   # who lost a race by a few events asks for these, again and again
            last = list(islice(reversed(self._last_events(stream_id, version).items()), version - after))[::-1]
            if [place.version for _, place in last] == list(range(after + 1, version + 1)):
                return last[:limit]
        return self._read(stream_id, after, after + limit, 1)

    # Below ------------------------------------------------------------------------------------------------------

    def _last_events(self, stream_id: str, version: int) -> dict[str, Place]:
        """The places of the stream's last REMEMBERED_EVENTS events, or more, by id, in order."""
        self._sort_out()
        places = self._places.get(stream_id, {})
        newest = next(reversed(places.values())) if places else Place(max(0, version - REMEMBERED_EVENTS), 0)
        if newest.version < version:               # others have appended: what came since is read, not all of it again
            self._forget(stream_id)
            places = places | dict(self._read(stream_id, newest.version, version, newest.position + 1))
            self._remember(stream_id, places)
        elif places:
            self._places.move_to_end(stream_id)
        return places

    def _read(self, stream_id: str, after: int, until: int, position: int) -> list[tuple[str, Place]]:
        events = self._read_stream(stream_id, after, until, position)
        places = map(Place, events["version"].to_pylist(), events["position"].to_pylist())
        return list(zip(events["event_id"].to_pylist(), places, strict=True))

    @property
    def _covered(self) -> int:
        return self._runs[-1].until if self._runs else 0

    def _fresh(self, stream_id: str) -> int | None:
        return next((known for page in reversed(self._pages) if (known := page.versions.get(stream_id)) is not None), None)

    def _cover(self) -> None:
        """See to it that every position is in a run or in a page."""
        since = self._pages[0].after
        if self._covered < since:
            segments = self._segments()
            self._look(max(segment.last for segment in segments))
            if self._covered < since:
                self._runs = head_runs.add(self._runs, self.derive(self._covered, since, segments))

    def _renew(self, head: int) -> None:
        if head - max(self._covered, self._looked_at) > STALE_EVENTS:
            self._look(head)

    def _look(self, head: int) -> None:
        """See what has been saved, perhaps by others."""
        saved = head_runs.load(self._objects, head, self._runs)
        if saved and saved[-1].until > self._covered:
            self._runs = saved
        self._looked_at = head

    def _within(self, segment: Segment, after: int, until: int) -> pa.Table:
        table = self._read_versions(segment)
        if segment.first > after and segment.last <= until:
            return table
        return table.filter(pc.and_(pc.greater(table["position"], after), pc.less_equal(table["position"], until)))

    def _turn_to(self, commit: Commit) -> None:
        assert commit.heads is not None
        if sum(len(page.versions) for page in self._pages) + len(commit.heads) > REMEMBERED_STREAMS:
            self._pages = [Page(commit.head)]
        else:
            self._pages[-1].versions.update(commit.heads)

    def _forget_all(self, head: int) -> None:
        self._pages = [Page(head)]
        self._places.clear()
        self._unsorted.clear()
        self._remembered = 0

    def _sort_out(self) -> None:
        """Our own commits' ids, by stream; left until somebody asks, as appends at an exact version never do."""
        for stream_id, version, position, event_ids in self._unsorted:
            known = self._places.get(stream_id)
            before = next(reversed(known.values())).version if known else 0
            if before != version - 1:              # what came in between is not in memory, and a memory with a hole is none
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


class Stretch(NamedTuple):
    """Events of one stream that follow one another, in one commit of ours."""

    stream_id: str
    version: int
    position: int
    event_ids: Sequence[str]

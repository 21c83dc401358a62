"""Compaction: small files become larger, sorted ones. The same events, fewer files, in one commit that names both.

Three steps, each of which writes an event a bounded number of times. Neighbours within an aligned range of RUN_ROWS
positions are merged while it fills (`GROWTH`). Once the head has passed its end, all its runs become one, sealed. Of
JOINED_RUNS sealed runs side by side the files are joined, shard by shard.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from math import log
from typing import Final

from store.delta import segment
from store.delta.actions import Retired, Segment, mark_of
from store.delta.amendment import amend
from store.delta.commits import Commit, replacing
from store.delta.log import Log, Outcome
from store.delta.part import Part
from store.delta.reader import gather
from store.delta.segment import aligned, write_run
from store.delta.segment_files import SegmentFiles
from store.observer import Compacted
from store.selection import Selection
from store.shard import FANOUT
from store.storage.objects import Objects

DUE_RUNS: Final = 64
"""A writer merges neighbours of like size once there are this many of them, or FANOUT that fill a leaf together."""
GROWTH: Final = 4
"""A merge must make a run this many times its largest part, so that an event is rewritten a bounded number of times."""
JOINED_RUNS: Final = 16
MARKED_STREAMS: Final = 1_000
"""A file of more archived streams is not told by their marks."""
JOINED_BYTES: Final = 128 << 20
"""Files are joined to one of this size at most: it is written in memory."""

Run = list[Segment]
"""The files of one dense range of positions, one or several shards of it."""


def due(segments: Sequence[Segment]) -> Run:
    """The files that a writer should merge now, smallest runs first; none while there are few."""
    closed, filling = _ranges(segments)
    return next((chosen for chosen in (_due_neighbours(filling), _unsealed(closed), _joinable(segments)) if chosen), [])


def mergeable(segments: Sequence[Segment]) -> Run:
    """The files that can be merged at all: those of one aligned range, or of one shard of sealed runs."""
    closed, filling = _ranges(segments)
    return _unsealed(closed) or (_files(filling) if len(filling) > 1 else _joinable(segments))


def merge(objects: Objects, log: Log, files: SegmentFiles, chosen: Run) -> Compacted | None:
    """Put the events of these files into new ones, durably. None: another compactor was first, nothing has changed.

    Holds a section of events in memory, beside the new files while they are written.
    """
    began, vacuumed = time.monotonic(), log.vacuumed
    written, mark = _join(objects, files, chosen) if _is_sealed(chosen) else _sort(objects, files, chosen), mark_of(s.rewritten for s in chosen)
    marks = _marks(chosen)
    replacement = [replace(s, rewritten=mark, marks=marks) for s in written]
    version = put_in_place(objects, log, chosen, replacement, vacuumed)
    if version is None:
        return None
    files.drop(chosen)
    return Compacted(
        delta_version=version,
        files_before=len(chosen),
        files_after=len(replacement),
        events=_rows(chosen),
        data_bytes=sum(s.size_bytes for s in replacement),
        seconds=time.monotonic() - began,
        bytes_before=sum(s.size_bytes for s in chosen),
    )


def planned(version: int, chosen: Run) -> Compacted:
    """What a merge of these files would read; how much it will write is not known before."""
    return Compacted(version, len(chosen), 0, _rows(chosen), 0, 0.0, bytes_before=sum(s.size_bytes for s in chosen))


def _sort(objects: Objects, files: SegmentFiles, chosen: Run) -> list[Segment]:
    """Runs of the same events, cut where an aligned range ends."""
    first, last = min(s.first for s in chosen), max(s.last for s in chosen)
    return [
        written
        for start, end in aligned(first, last, segment.RUN_ROWS)
        for written in write_run(
            objects,
            start,
            end,
            (
                gather(files, [s for s in chosen if s.first <= high and s.last >= low], Selection(low - 1, high))
                for low, high in aligned(start, end, segment.SECTION_ROWS)
            ),
        )
    ]


def _join(objects: Objects, files: SegmentFiles, chosen: Run) -> list[Segment]:
    """One file of one shard's files, which are sorted by section and so need only be put one behind the other."""
    part = Part(chosen[0].shard, *_joined_range(chosen[0]), chosen[0].archived)
    for s in sorted(chosen, key=lambda s: (s.run, s.first)):
        for events in files.read_groups(s):
            part.add(events)
    return [part.put(objects)]


def put_in_place(objects: Objects, log: Log, chosen: Run, replacement: Sequence[Segment], vacuumed: int) -> int | None:
    """The Delta version of the commit; None if one of the chosen files is no longer live, or a vacuum may have taken ours."""
    now_ms = time.time_ns() // 1_000_000

    def decide(commit_id: str, version: int) -> tuple[Commit, bytes] | None:
        live = {s.path for s in log.segments()}
        if log.vacuumed != vacuumed or not all(s.path in live for s in chosen):
            return None
        retired = [Retired(s.path, now_ms, s.size_bytes) for s in chosen]
        commit = Commit(version, commit_id, log.recorded_at, log.head, replacement, retired)
        return commit, replacing(commit_id, log.recorded_at, log.head, chosen, replacement, now_ms)

    commit = amend(objects, log, decide)
    if commit is Outcome.THEIRS:                   # else a put of ours may have landed, or may yet: a vacuum will know
        objects.delete([s.path for s in replacement])
    return commit.version if isinstance(commit, Commit) else None


def _ranges(segments: Iterable[Segment]) -> tuple[list[list[Run]], list[Run]]:
    """The runs by the aligned range that they begin in, but joined ones: of ranges that the head has passed, and of the one that fills."""
    runs: dict[tuple[int, int], Run] = {}
    filling = 0
    for s in segments:
        filling = max(filling, s.last // segment.RUN_ROWS)
        if not _is_joined(s):
            runs.setdefault(s.run, []).append(s)
    ranges: dict[int, list[Run]] = {}
    for first, last in sorted(runs):
        ranges.setdefault((first - 1) // segment.RUN_ROWS, []).append(runs[first, last])
    return [ranges[number] for number in sorted(ranges) if number < filling], ranges.get(filling, [])


def _due_neighbours(runs: Sequence[Run]) -> Run:
    tiers = [int(log(max(1, _rows(run)), FANOUT)) for run in runs]
    for tier in sorted(set(tiers)):
        for stretch in _stretches([run if t <= tier else None for run, t in zip(runs, tiers, strict=True)]):
            if _is_due(stretch):
                return _files(stretch)
    return []


def _is_due(stretch: list[Run]) -> bool:
    rows = sum(map(_rows, stretch))
    return len(stretch) >= (DUE_RUNS if rows < segment.LEAF_ROWS else FANOUT) and rows >= GROWTH * max(map(_rows, stretch))


def _stretches(runs: Iterable[Run | None]) -> Iterator[list[Run]]:
    """Neighbours without a None between them."""
    stretch: list[Run] = []
    for run in [*runs, None]:
        if run is not None:
            stretch.append(run)
        elif stretch:
            yield stretch
            stretch = []


def _unsealed(closed: Iterable[list[Run]]) -> Run:
    """All runs of the first range that is passed and not yet one run."""
    return next((_files(runs) for runs in closed if not _is_sealed(_files(runs))), [])


def _joinable(segments: Iterable[Segment]) -> Run:
    """Files of one shard, side by side in a range of JOINED_RUNS sealed runs that is full. Archived ones stay among themselves."""
    sealed = sorted((s for s in segments if not _is_joined(s) and s.run == _sealed_range(s)), key=lambda s: (s.run, s.first))
    head = max((s.last for s in segments), default=0)
    batches: dict[tuple[tuple[int, int], str, bool], Run] = {}
    for s in sealed:
        if _joined_range(s)[1] <= head:
            batch = batches.setdefault((_joined_range(s), s.shard, s.archived), [])
            if sum(b.size_bytes for b in batch) + s.size_bytes > JOINED_BYTES:
                if len(batch) > 1:
                    return batch
                batch.clear()
            batch.append(s)
    return next((batch for batch in batches.values() if len(batch) > 1), [])


def _is_sealed(run: Iterable[Segment]) -> bool:
    return all(s.run == _sealed_range(s) for s in run)


def is_settled(s: Segment) -> bool:
    """Is it a file of sealed runs, which compaction puts together with others as they are, at most?"""
    return _is_joined(s) or s.run == _sealed_range(s)


def _marks(run: Run) -> frozenset[str] | None:
    """Of the streams of archived files; None: of too many, or of others."""
    marks = [s.marks for s in run if s.marks is not None]
    together = frozenset[str]().union(*marks)
    return together if len(marks) == len(run) and len(together) <= MARKED_STREAMS else None


def _is_joined(s: Segment) -> bool:
    """Nearly every file of a large log is, and is looked at each time: most are told by their rows, quicker than by their name."""
    return s.last - s.first >= segment.RUN_ROWS or s.run == _joined_range(s)


def _sealed_range(s: Segment) -> tuple[int, int]:
    return _range(s.first, segment.RUN_ROWS)


def _joined_range(s: Segment) -> tuple[int, int]:
    return _range(s.first, segment.RUN_ROWS * JOINED_RUNS)


def _range(position: int, rows: int) -> tuple[int, int]:
    before = (position - 1) // rows * rows
    return before + 1, before + rows


def _files(runs: Iterable[Run]) -> Run:
    return [s for run in runs for s in run]


def _rows(run: Run) -> int:
    return sum(s.rows for s in run)

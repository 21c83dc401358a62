"""Compaction: small files become larger, sorted ones. The same events, fewer files, in one commit that names both."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from math import log
from typing import Final

import pyarrow as pa

from store.delta.actions import Commit, Retired, Segment, replacing
from store.delta.amendment import amend
from store.delta.log import Log
from store.delta.objects import Objects
from store.delta.segment import LEAF_ROWS, RUN_ROWS, write_segments
from store.delta.segment_files import SegmentFiles
from store.observer import Compacted
from store.schema import EVENTS
from store.shard import FANOUT

DUE_RUNS: Final = 64
"""A writer merges neighbours of like size once there are this many of them, or FANOUT that fill a leaf together."""
GROWTH: Final = 4
"""A merge must make a run this many times its largest part, so that an event is rewritten a bounded number of times."""

Run = list[Segment]
"""The files of one dense range of positions, one or several shards of it."""


def due(segments: Sequence[Segment]) -> Run:
    """The files that a writer should merge now, smallest runs first; none while there are few."""
    runs = _runs(segments)
    tiers = [int(log(max(1, _rows(run)), FANOUT)) for run in runs]
    for tier in sorted(set(tiers)):
        for stretch in _stretches([run if t <= tier else None for run, t in zip(runs, tiers, strict=True)]):
            if _is_due(stretch):
                return [segment for run in stretch for segment in run]
    return []


def mergeable(segments: Sequence[Segment]) -> Run:
    """The files that can be merged at all: neighbours that make one run together, or a run that is not sorted yet."""
    for stretch in _stretches(_runs(segments)):
        if len(stretch) > 1:
            return [segment for run in stretch for segment in run]
    return []


def merge(objects: Objects, log: Log, files: SegmentFiles, chosen: Run) -> Compacted | None:
    """Put the events of these files into new ones, durably. None: another compactor was first, nothing has changed."""
    began, vacuumed = time.monotonic(), log.vacuumed
    events = pa.concat_tables([files.read_columns(segment, EVENTS.names) for segment in chosen]).sort_by("position")
    replacement = write_segments(objects, events, landing=False)
    version = _replace(objects, log, chosen, replacement, vacuumed)
    if version is None:
        known = {segment.path for segment in log.segments()} | {retired.path for retired in log.retired()}
        objects.delete([segment.path for segment in replacement if segment.path not in known])  # who slept may have won
        return None
    files.drop(chosen)
    size_bytes = sum(segment.size_bytes for segment in replacement)
    return Compacted(version, len(chosen), len(replacement), len(events), size_bytes, time.monotonic() - began)


def _replace(objects: Objects, log: Log, chosen: Run, replacement: Sequence[Segment], vacuumed: int) -> int | None:
    """The Delta version of the commit; None if one of the chosen files is no longer live, or a vacuum may have taken ours."""
    now_ms = time.time_ns() // 1_000_000

    def decide(commit_id: str, version: int) -> tuple[Commit, bytes] | None:
        live = {segment.path for segment in log.segments()}
        if log.vacuumed != vacuumed or not all(segment.path in live for segment in chosen):
            return None
        retired = [Retired(segment.path, now_ms, segment.size_bytes) for segment in chosen]
        commit = Commit(version, commit_id, log.recorded_at, log.head, replacement, retired)
        return commit, replacing(commit_id, log.recorded_at, log.head, chosen, replacement, now_ms)

    commit = amend(objects, log, decide)
    return None if commit is None else commit.version


def _is_due(stretch: list[Run]) -> bool:
    rows = sum(map(_rows, stretch))
    return len(stretch) >= (DUE_RUNS if rows < LEAF_ROWS else FANOUT) and rows >= GROWTH * max(map(_rows, stretch))


def _runs(segments: Sequence[Segment]) -> list[Run]:
    runs: dict[tuple[int, int], Run] = {}
    for segment in segments:
        runs.setdefault(segment.run, []).append(segment)
    return [runs[place] for place in sorted(runs)]


def _stretches(runs: Sequence[Run | None]) -> Iterator[list[Run]]:
    """Neighbours without a None between them, as many together as make one run."""
    stretch: list[Run] = []
    for run in [*runs, None]:
        if run is None or sum(map(_rows, stretch)) + _rows(run) > RUN_ROWS:
            yield stretch
            stretch = []
        if run is not None:
            stretch.append(run)


def _rows(run: Run) -> int:
    return sum(segment.rows for segment in run)

"""Compaction: small files become larger, sorted ones. The same events, fewer files, in one commit that names both."""

from __future__ import annotations

import time
import uuid
from collections.abc import Iterator, Sequence
from math import log
from typing import Final

import pyarrow as pa

from store.delta.actions import Commit, Segment, replacing
from store.delta.log import Log, Outcome
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
    began = time.monotonic()
    events = pa.concat_tables([files.read_columns(segment, EVENTS.names) for segment in chosen]).sort_by("position")
    replacement = write_segments(objects, events, landing=False)
    version = _replace(objects, log, chosen, replacement)
    if version is None:
        return None
    files.drop(chosen)
    size_bytes = sum(segment.size_bytes for segment in replacement)
    return Compacted(version, len(chosen), len(replacement), len(events), size_bytes, time.monotonic() - began)


def _replace(objects: Objects, log: Log, chosen: Run, replacement: Sequence[Segment]) -> int | None:
    """The Delta version of the commit; None if one of the chosen files is no longer live."""
    commit_id, now_ms = str(uuid.uuid4()), time.time_ns() // 1_000_000
    untold = False
    while True:
        with objects.turn():
            log.refresh()
            with log.lock:
                version, head, recorded_at = log.version + 1, log.head, log.recorded_at
                live = {segment.path for segment in log.segments()}
            if not all(segment.path in live for segment in chosen):
                if not untold:                     # else a put of ours may still arrive, and would name these files
                    objects.delete([segment.path for segment in replacement])
                return None
            body = replacing(commit_id, recorded_at, head, chosen, replacement, now_ms)
            outcome = log.publish(version, body, commit_id)
            untold |= outcome is Outcome.THEIRS_AT_LAST
            if outcome is Outcome.OURS:
                log.apply(Commit(version, commit_id, recorded_at, head, replacement, [s.path for s in chosen], None, appends=False))
                return version


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

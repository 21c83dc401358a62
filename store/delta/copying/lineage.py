"""Whose log is it? A copy may only grow from the log that it was begun from, and only while both tell the same story."""

from __future__ import annotations

import os
from typing import Final, NamedTuple

from store.delta.log import Log
from store.delta.segment_files import SegmentFiles, meets
from store.errors import TableRefusedError
from store.selection import Selection
from store.storage.objects import Objects
from store.times import microseconds

ELSEWHERE: Final = "name an empty place, or the backup of this log"


class Place(NamedTuple):
    """What an event at a position was: enough to tell two logs apart that went different ways before it."""

    stream_id: str
    version: int
    event_id: str
    recorded_at: int


NOTHING: Final = Place("", 0, "", 0)
"""At position 0."""


def place_at(objects: Objects, log: Log, position: int) -> Place:
    """The event at a position that the log has."""
    if position == 0:
        return NOTHING
    files, at = SegmentFiles(objects), Selection(position - 1, position)
    for segment in log.segments():
        for event in files.read_selected(segment, at).to_pylist() if meets(segment, at) else ():
            return Place(event["stream_id"], event["version"], event["event_id"], microseconds(event["recorded_at"]))
    raise TableRefusedError(objects.uri, f"no file holds position {position:,}", "verify the log")


def check_apart(source: Objects, destination: Objects) -> None:
    """TableRefusedError: the one place lies in the other."""
    here, there = _warehouse(source), _warehouse(destination)
    if there == here or there.startswith(f"{here}/"):
        problem = f"it lies in {source.uri}, so both would be lost together"
        raise TableRefusedError(destination.uri, problem, "name a place elsewhere, best on other storage")


def check_lineage(source: Objects, log: Log, destination: Objects, copy: Log) -> None:
    """TableRefusedError: the log at the destination is not an earlier state of the one at the source."""
    if log.table != copy.table:
        raise TableRefusedError(destination.uri, f"there is another log, not a copy of {source.uri}", ELSEWHERE)
    if copy.head > log.head:
        problem = f"it is at position {copy.head:,}, the log {source.uri} only at {log.head:,}: this log was put back to an earlier state"
        raise TableRefusedError(destination.uri, problem, "keep that backup and begin another one in an empty place")
    if place_at(source, log, copy.head) != place_at(destination, copy, copy.head):
        problem = f"its event at position {copy.head:,} is another one than in {source.uri}: the two went different ways before it"
        raise TableRefusedError(destination.uri, problem, "keep it, if what it holds is wanted, and name an empty place")


def _warehouse(objects: Objects) -> str:
    """The place above the table, under one of its names."""
    table = objects.uri
    if table.startswith("/"):
        return os.path.dirname(os.path.realpath(table))
    return table.replace("s3a://", "s3://", 1).rpartition("/")[0]

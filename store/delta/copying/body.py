"""The whole of a data file, fetched and looked through before anybody relies on a copy of it."""

from __future__ import annotations

from collections.abc import Iterator

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from store.delta.actions import Segment
from store.delta.part import sha256
from store.delta.segment_files import conform
from store.errors import TableRefusedError
from store.storage.objects import Objects


class VanishedError(Exception):
    """The file is not there: merged and removed since the state that names it, or lost."""

    def __init__(self, path: str) -> None:
        self.path = path
        super().__init__(path)


def fetch(objects: Objects, segment: Segment) -> bytes:
    """The file's bytes. VanishedError: it is not there."""
    body = objects.get(segment.path)
    if body is None:
        raise VanishedError(segment.path)
    return body


def contents(objects: Objects, segment: Segment, body: bytes) -> Iterator[pa.Table]:
    """Its events, a row group at a time. TableRefusedError: not every value can be read, or they are not what the log says."""
    if len(body) != segment.size_bytes:
        raise _damaged(objects, segment, f"holds {len(body):,} bytes, the log says {segment.size_bytes:,}")
    if segment.sha256 not in ("", sha256(body)):
        raise _damaged(objects, segment, "holds other bytes than the log says, by their SHA-256")
    rows, first, last = 0, segment.last, 0
    for events in _decoded(objects, segment, body):
        bounds = pc.min_max(events["position"])
        rows, first, last = rows + len(events), min(first, bounds["min"].as_py()), max(last, bounds["max"].as_py())
        yield events
    if (rows, first, last) != (segment.rows, segment.first, segment.last):
        problem = f"holds {rows:,} events at positions {first:,} to {last:,}, the log says {segment.rows:,} at {segment.first:,} to {segment.last:,}"
        raise _damaged(objects, segment, problem)


def missing(objects: Objects, path: str) -> TableRefusedError:
    """It is lost: the newest state of the log names it."""
    return TableRefusedError(objects.uri, f"the live file {path} is not there", "bring it back from another copy, or repair the log")


def _decoded(objects: Objects, segment: Segment, body: bytes) -> Iterator[pa.Table]:
    try:
        with pq.ParquetFile(pa.BufferReader(body), page_checksum_verification=True) as file:
            for group in range(file.num_row_groups):
                yield conform(file.read_row_group(group))
    except (pa.ArrowException, OSError) as error:
        raise _damaged(objects, segment, f"cannot be read ({str(error).strip()})") from error


def _damaged(objects: Objects, segment: Segment, problem: str) -> TableRefusedError:
    return TableRefusedError(objects.uri, f"the live file {segment.path} {problem}", "bring it back from another copy, or repair the log")

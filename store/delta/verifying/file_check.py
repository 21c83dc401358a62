"""One live file read whole: is it what the log says of it, and can every value in it be read?"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq

from store.delta.actions import Segment
from store.delta.part import sha256
from store.delta.segment_files import conform
from store.delta.verifying.row_check import Places, places, streams_elsewhere, texts_that_are_not_json
from store.delta.verifying.stats_check import Summary, astray, bounds_of
from store.errors import AccessDeniedError, StorageError
from store.finding import RESTORE, Finding
from store.schema import EVENTS
from store.storage.objects import Objects

CHUNK_ROWS: Final = 65_536
CHUNK_BYTES: Final = 64 << 20
"""Whole row groups of one file are read together up to either of these, or one alone."""


@dataclass(slots=True)
class FileChecked:
    """What reading one file gave. `missing`: it is not there; `readable`: all its rows were read."""

    segment: Segment
    missing: bool = False
    readable: bool = True
    findings: list[Finding] = field(default_factory=list)
    places: list[Places] = field(default_factory=list)

    def found(self, problem: str) -> None:
        """Of one kind the first is enough: a file is restored whole."""
        if all(finding.problem != problem for finding in self.findings):
            self.findings.append(Finding(problem, self.segment.path, RESTORE))


def check_file(objects: Objects, duck: duckdb.DuckDBPyConnection, segment: Segment, after: int = 0) -> FileChecked:
    """Read every value of a file; places are those of rows after that position. `duck`: any connection, threads may share it."""
    checked = FileChecked(segment)
    try:
        with objects.open(segment.path) as source:
            body = source.read_buffer()            # once: where its bytes are hashed, and then decoded, storage is asked for them once
        if body.size != segment.size_bytes:
            checked.found(f"it has {body.size:,} bytes, the log says {segment.size_bytes:,}")
        elif segment.sha256 not in ("", sha256(body)):
            checked.found("its bytes are others than the log says, by their SHA-256")
        with pa.BufferReader(body) as source, pq.ParquetFile(source, page_checksum_verification=True) as file:
            _read(checked, file, duck, after)
    except AccessDeniedError:                      # says nothing of what is stored
        raise
    except StorageError as error:
        checked.readable = False
        checked.missing = not any(entry.path == segment.path for entry in objects.list(segment.path.rpartition("/")[0]))
        checked.found("the log names it, but it is not there" if checked.missing else str(error))
    except (pa.ArrowException, OSError) as error:
        checked.readable = False
        checked.found(f"it cannot be read ({error})")
    return checked


def _read(checked: FileChecked, file: pq.ParquetFile, duck: duckdb.DuckDBPyConnection, after: int) -> None:
    if (problem := _other_columns(file.schema_arrow)) is not None:
        checked.readable = False
        checked.found(problem)
        return
    summary = Summary()
    for groups in _chunks(file.metadata):
        events = conform(file.read_row_groups(groups, use_threads=False))
        events.validate(full=True)                 # texts are UTF-8, lists lie within their values
        for problem in texts_that_are_not_json(events):
            checked.found(problem)
        start = 0
        for group in (file.metadata.row_group(number) for number in groups):
            _check_group(checked, group, events.slice(start, group.num_rows), summary)
            start += group.num_rows
        if len(events):
            _check_order(checked, events, after)
    names = [there.stretches["stream_id"] for there in checked.places]
    for problem in (*summary.contradictions(checked.segment.stats), *streams_elsewhere(duck, names, checked.segment.shard)):
        checked.found(problem)


def _check_group(checked: FileChecked, group: pq.RowGroupMetaData, events: pa.Table, summary: Summary) -> None:
    bounds = bounds_of(events)
    summary.add(events, bounds)
    for problem in astray(group, bounds):
        checked.found(problem)


def _check_order(checked: FileChecked, events: pa.Table, after: int) -> None:
    there, problems = places(events, after)
    checked.places.append(there)
    for problem in problems:
        checked.found(problem)


def _other_columns(schema: pa.Schema) -> str | None:
    """How the columns differ from those of the log; a reader may forget that a list's elements are never null."""
    for name, wanted in zip(EVENTS.names, EVENTS.types, strict=True):
        if name not in schema.names:
            return f"it has no column {name}"
        kind = schema.field(name).type
        if kind != wanted and not (pa.types.is_list(wanted) and pa.types.is_list(kind) and kind.value_type == wanted.value_type):
            return f"its column {name} is {kind}, not {wanted}"
    extra = [name for name in schema.names if name not in EVENTS.names]
    return f"it has a column {extra[0]} that is not the log's" if extra else None


def _chunks(metadata: pq.FileMetaData) -> Iterator[list[int]]:
    groups: list[int] = []
    rows = size_bytes = 0
    for number in range(metadata.num_row_groups):
        group = metadata.row_group(number)
        if groups and (rows + group.num_rows > CHUNK_ROWS or size_bytes + group.total_byte_size > CHUNK_BYTES):
            yield groups
            groups, rows, size_bytes = [], 0, 0
        groups.append(number)
        rows, size_bytes = rows + group.num_rows, size_bytes + group.total_byte_size
    if groups:
        yield groups

"""A table of events held against event types: its data by their classes, then their columns by their schemas."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final, NamedTuple

import polars as pl
import pyarrow as pa
import pyarrow.compute as pc

from store.errors import InvalidEventError, UnreadableEventError
from store.event_types.codec import Codec
from store.event_types.columns import typed
from store.event_types.event_type import EventType, Validates
from store.event_types.ladder import Ladder
from store.event_types.misfit import misfit
from store.event_types.step import ShapeName
from store.event_types.upcasting import upcast
from store.husk import without_husks

_SHOWN: Final = 5
"""So many failures are told in full; the others are counted."""

_ROWS: Final = 65_536
_ROW: Final = "row"
"""A column that leads from lifted and sorted-out events back to their places in the table given."""


class Failure(NamedTuple):
    """What one row does wrong; `row` None: the columns as a whole."""

    row: int | None
    field: str
    value: Any
    reason: str


def check_rows(event_types: Sequence[EventType[Any]], codecs: Mapping[ShapeName, Codec], ladder: Ladder, events: pa.Table) -> None:
    """InvalidEventError names the first failures of one type: row, stream, field, value. Types that are not known, and husks, pass."""
    numbered = without_husks(events.append_column(_ROW, pa.array(range(len(events)), pa.int64())))
    try:
        newest = pa.Table.from_batches([upcast(ladder, batch) for batch in numbered.to_batches(_ROWS)], numbered.schema)
        for event_type in event_types:
            shape = (event_type.name, event_type.schema_version)
            of_type = newest.filter(pc.and_(pc.equal(newest["type"], shape[0]), pc.equal(newest["schema_version"], shape[1])))
            if len(of_type) and (failures := _failures(event_type, codecs[shape], of_type)):
                raise _refusal(events, f"{shape[0]} {shape[1]}", failures)
    except UnreadableEventError as error:          # a step failed, or a value is too large for its column
        row = pc.index(events["event_id"], error.event_id).as_py()
        failure = Failure(row, "data", events["data"][row].as_py(), error.reason)
        raise _refusal(events, f"{error.type} {error.schema_version}", [failure]) from error


def _failures(event_type: EventType[Any], codec: Codec, events: pa.Table) -> list[Failure]:
    failures: list[Failure] = []
    tables: list[pa.Table] = []
    for batch in events.to_batches(_ROWS):
        values, misfits = _decoded(codec, batch)
        failures += misfits
        if event_type.contract is not None and not failures:
            tables.append(typed(codec, batch, values))
    if event_type.contract is None or failures:
        return failures
    return _broken(event_type.contract, pa.concat_tables(tables), events[_ROW])


def _decoded(codec: Codec, events: pa.RecordBatch) -> tuple[list[Any], list[Failure]]:
    texts = events.column("data").to_pylist()
    try:
        return list(map(codec.decode, texts)), []
    except Exception:                              # the classes are the user's: which rows do not fit is asked only now
        return [], [failure for row, text in zip(events.column(_ROW).to_pylist(), texts, strict=True) for failure in _misfits(codec, row, text)]


def _misfits(codec: Codec, row: int, text: str) -> list[Failure]:
    try:
        codec.decode(text)
    except Exception as error:
        return [Failure(row, *misfit(error, text))]
    return []


def _broken(contract: Validates, columns: pa.Table, rows: pa.ChunkedArray) -> list[Failure]:
    """What pandera finds, all at once. It is not imported: whoever made the schema has done so."""
    try:
        contract.validate(pl.DataFrame(columns), lazy=True)
    except Exception as error:
        cases = getattr(error, "failure_cases", None)
        if not isinstance(cases, pl.DataFrame):    # no answer of the schema, but a mistake in it
            raise
        return [_broken_case(case, rows) for case in cases.iter_rows(named=True)]
    return []


def _broken_case(case: Mapping[str, Any], rows: pa.ChunkedArray) -> Failure:
    row = None if case["index"] is None else rows[case["index"]].as_py()
    return Failure(row, "data" if case["column"] is None else f"data.{case['column']}", case["failure_case"], f"fails {case['check']}")


def _refusal(events: pa.Table, told: str, failures: Sequence[Failure]) -> InvalidEventError:
    failures = sorted(failures, key=lambda failure: -1 if failure.row is None else failure.row)
    first, *others = failures[:_SHOWN]
    more = "".join(f"; {_place(events, other)} {other.field} {other.value!r} {other.reason}" for other in others)
    if len(failures) > _SHOWN:
        more += f"; and {len(failures) - _SHOWN} more"
    problem = f"{_place(events, first)} breaks the contract of {told}: {first.reason}{more}"
    return InvalidEventError(first.field, first.value, problem, "mend these rows, or give them another type or schema_version; none was appended")


def _place(events: pa.Table, failure: Failure) -> str:
    return "in all rows" if failure.row is None else f"in row {failure.row} (stream {events['stream_id'][failure.row].as_py()!r})"

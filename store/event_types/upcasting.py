"""Old rows of the log in their newest shapes; the log itself is never rewritten."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final, NamedTuple

import msgspec
import pyarrow as pa
import pyarrow.compute as pc

from store.draft import refuse_nan
from store.errors import InvalidEventError
from store.event_types.codec import encode_any
from store.event_types.ladder import Ladder, MisstepError
from store.event_types.step import ShapeName
from store.event_types.unreadable import unreadable
from store.husk import erasure_of
from store.privacy.token import redact_textless

UNLIFTABLE: Final = (MisstepError, InvalidEventError, msgspec.DecodeError, RecursionError)
"""What `lift` raises: a step failed or made what is not JSON, or the text holds more than Python does: lists in lists in lists."""


class Lifted(NamedTuple):
    """One row as it is read today."""

    type: str
    schema_version: int
    data: str


def upcast(ladder: Ladder, events: pa.RecordBatch) -> pa.RecordBatch:
    """The same columns, rows of older shapes replaced: one that splits by several, which repeat its other columns.

    No step is asked of a husk: it gets the type and version that its steps lead to, unless they may lead to several.
    UnreadableEventError: a step failed, or none leads on from there.
    """
    old = _is_old(ladder, events)
    rows = pc.indices_nonzero(old).to_pylist()
    if not rows:
        return events
    lifted = _lift(ladder, events, rows)
    if any(len(pieces) != 1 for pieces in lifted):
        times = dict(zip(rows, map(len, lifted), strict=True))
        sources = pa.array([row for row in range(len(events)) for _ in range(times.get(row, 1))], pa.int64())
        events, old = events.take(sources), old.take(sources)
    return _replace(events, old, [piece for pieces in lifted for piece in pieces])


def lift(ladder: Ladder, shape: ShapeName, text: str) -> list[Lifted]:
    """What one event's JSON text is today. Raises one of UNLIFTABLE. A step sees no token where no text can be: what stands for the value."""
    return [Lifted(name, version, _text(data)) for name, version, data in ladder.lift(shape, msgspec.json.decode(redact_textless(text)))]


def husk_shape(ladder: Ladder, shape: ShapeName) -> ShapeName:
    """What an event of this shape is today, as far as that can be told without its data."""
    ends = ladder.ends(shape)
    return ends[0] if len(ends) == 1 else shape


def _text(data: Mapping[str, Any]) -> str:
    encoded = encode_any(data, "let the step give dicts, lists, strings and numbers")
    if b"null" in encoded:
        refuse_nan("data", data)
    return encoded.decode()


def _is_old(ladder: Ladder, events: pa.RecordBatch) -> pa.BooleanArray:
    names = events.column("type").dictionary_encode()
    newest = pa.array([ladder.newest.get(name, 0) for name in names.dictionary.to_pylist()], pa.int32())
    return pc.less(events.column("schema_version"), newest.take(names.indices))


def _lift(ladder: Ladder, events: pa.RecordBatch, rows: Sequence[int]) -> list[list[Lifted]]:
    old = events.select(["type", "schema_version", "data"]).take(pa.array(rows, pa.int64()))
    shapes = zip(old.column(0).to_pylist(), old.column(1).to_pylist(), old.column(2).to_pylist(), strict=True)
    lifted: list[list[Lifted]] = []
    try:
        for name, version, data in shapes:
            husk = erasure_of(data) is not None
            lifted.append([Lifted(*husk_shape(ladder, (name, version)), data)] if husk else lift(ladder, (name, version), data))
    except UNLIFTABLE as error:
        reason = f"what its steps make of it breaks a rule: {error}" if isinstance(error, InvalidEventError) else str(error)
        bare = f"no step makes the newest shape of it ({type(error.__cause__ or error).__name__})"
        raise unreadable(events, rows[len(lifted)], reason, "mend or add the step; the log need not change", bare) from error
    return lifted


def _replace(events: pa.RecordBatch, old: pa.BooleanArray, pieces: Sequence[Lifted]) -> pa.RecordBatch:
    for name, values in zip(Lifted._fields, zip(*pieces, strict=True) if pieces else ((), (), ()), strict=True):
        column = events.column(name)
        index = events.schema.get_field_index(name)
        replaced = pc.replace_with_mask(column, old, pa.array(values, column.type))
        events = events.set_column(index, events.schema.field(index), replaced)
    return events

"""JSON turned columnar: the values of one class as Arrow columns, of types that the class alone decides."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any, Final

import msgspec
import orjson
import pyarrow as pa

from store.event_types.codec import Codec, plain
from store.event_types.erased_event import ErasedEvent
from store.event_types.schemas import Schema, options
from store.event_types.unreadable import unreadable
from store.schema import INSTANT

BESIDE: Final = ("position", "stream_id", "version", "occurred_at")
"""The log's own columns that stand before the typed ones."""

_MEMBERS: Final = msgspec.json.Decoder(dict[str, msgspec.Raw])
_MISFITS: Final = (pa.ArrowException, OverflowError, TypeError, ValueError)
_REMEDY: Final = "read it by decode; or give the field a type that holds it (a time without a zone: Annotated[datetime, msgspec.Meta(tz=False)])"
_FORMATS: Final = {"date-time": INSTANT, "local-date-time": pa.timestamp("us"), "date": pa.date32(), "decimal": pa.decimal128(38, 9)}
_NUMBERS: Final = {"integer": pa.int64(), "number": pa.float64(), "boolean": pa.bool_()}
_SCALARS: Final = {str: pa.string(), int: pa.int64(), float: pa.float64(), bool: pa.bool_()}


def arrow_type(schema: Schema) -> pa.DataType:
    """Integers are int64, numbers float64, decimals decimal128(38, 9), times timestamp[us] (UTC where they carry a zone), enums their values.

    Lists of such are lists, classes structs. What has no one shape (unions, maps, tuples, `Any`) is a string of JSON.
    """
    kind = _columnar(schema)
    return pa.string() if kind is None else kind


def typed(codec: Codec, events: pa.RecordBatch, values: Sequence[Any]) -> pa.Table:
    """The columns of BESIDE that the events have, and one for each field of their values, which are one for each row.

    UnreadableEventError: a value does not fit its column's type.
    """
    columns: dict[str, pa.Array] = {name: events.column(name) for name in BESIDE if name in events.schema.names}
    for name, attribute in codec.attributes.items():
        schema = codec.schema["properties"][name]
        given = [None if value.__class__ is ErasedEvent else _given(getattr(value, attribute)) for value in values]
        try:
            column = _column_of(schema, plain(given))
        except _MISFITS as error:
            bare = f"the value of {name} does not fit a column of {arrow_type(schema)}"
            raise unreadable(events, _misfit(schema, given), f"{bare} ({error})", _REMEDY, bare) from error
        columns[f"data_{name}" if name in BESIDE else name] = column
    return pa.table(columns)


def tokened(columns: pa.Table, events: pa.RecordBatch, names: Collection[str]) -> pa.Table:
    """The same with these fields as strings: texts, and so tokens, as they are, all else as JSON."""
    if not names:
        return columns
    members = [_MEMBERS.decode(text) for text in events.column("data").to_pylist()]
    for name in names:
        called = f"data_{name}" if name in BESIDE else name
        texts = pa.array([_told(member.get(name)) for member in members], pa.string())
        columns = columns.set_column(columns.schema.get_field_index(called), called, texts)
    return columns


def _told(member: msgspec.Raw | None) -> str | None:
    value = b"null" if member is None else bytes(member)
    if value == b"null":
        return None
    return str(orjson.loads(value)) if value.startswith(b'"') else value.decode()


def _misfit(schema: Schema, given: list[Any]) -> int:
    """The row of the first value that does not fit."""
    for row, value in enumerate(given):
        try:
            _column_of(schema, plain([value]))
        except _MISFITS:
            return row
    raise AssertionError("values that fit one by one fit together")


def _column_of(schema: Schema, values: list[Any]) -> pa.Array:
    """These JSON values as one column."""
    kind = _columnar(schema)
    if kind is None:
        return pa.array([None if value is None else orjson.dumps(value).decode() for value in values], pa.string())
    return _filled(values, _required(schema), kind)


def _filled(values: list[Any], schema: Schema, kind: pa.DataType) -> pa.Array:
    if pa.types.is_list(kind):
        lengths = [None if value is None else len(value) for value in values]
        inner = _column_of(schema["items"], [item for value in values if value is not None for item in value])
        return pa.ListArray.from_arrays(_offsets(lengths), inner, kind)
    if pa.types.is_struct(kind):
        members = schema["properties"]
        # A nested value may leave out what equals its default.
        inner = [_column_of(member, [(value or {}).get(name, member.get("default")) for value in values]) for name, member in members.items()]
        return pa.StructArray.from_arrays(inner, fields=list(kind), mask=pa.array([value is None for value in values], pa.bool_()))
    if kind in _SCALARS.values():
        return pa.array(values, kind)
    return pa.array(values, pa.string()).cast(kind)


def _offsets(lengths: list[int | None]) -> pa.Array:
    """A null offset marks a null list."""
    offsets: list[int | None] = []
    end = 0
    for length in lengths:
        offsets.append(None if length is None else end)
        end += length or 0
    return pa.array([*offsets, end], pa.int32())


def _columnar(schema: Schema) -> pa.DataType | None:
    """None: no one shape."""
    schema = _required(schema)
    if values := schema.get("enum") or ([schema["const"]] if "const" in schema else None):
        kinds = {type(value) for value in values if value is not None}
        return _SCALARS.get(kinds.pop()) if len(kinds) == 1 else None
    match schema.get("type"):
        case "string":
            return _FORMATS.get(schema.get("format", ""), pa.string())
        case "array" if isinstance(schema.get("items"), dict) and "prefixItems" not in schema:
            return pa.list_(arrow_type(schema["items"]))
        case "object" if schema.get("properties"):
            return pa.struct([(name, arrow_type(member)) for name, member in schema["properties"].items()])
        case kind:
            return _NUMBERS.get(kind or "")


def _required(schema: Schema) -> Schema:
    """The schema of the value where there is one; `{}` for a choice of several."""
    choices = [choice for choice in options(schema) if choice.get("type") != "null"]
    if len(choices) > 1 and all(choice.get("type") in ("integer", "number") for choice in choices):
        return {"type": "number"}
    return choices[0] if len(choices) == 1 else {}


def _given(value: Any) -> Any:
    return None if value is msgspec.UNSET else value

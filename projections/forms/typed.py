"""The typed form of a projection: a row for each event of one type, with the event's fields as columns."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import Any, ClassVar, Final

import orjson
import polars as pl
import pyarrow as pa

from projections.errors import Fault
from projections.forms.form import Changes, Declared, Touched, key_schema
from projections.forms.held import is_held
from store import EventType, EventTypes, MemoryEventStore

KEY: Final = ("position", "piece")
LOG: Final = pa.schema(
    {
        "position": pa.int64(),
        "piece": pa.int32(),
        "stream_id": pa.string(),
        "version": pa.int64(),
        "event_id": pa.string(),
        "occurred_at": pa.timestamp("us", tz="UTC"),
        "recorded_at": pa.timestamp("us", tz="UTC"),
        "correlation_id": pa.string(),
        "causation_id": pa.string(),
        "tags": pa.list_(pa.string()),
    }
)
"""The columns before the fields. `piece` counts from 1 the rows that came of one event: more than one where it was split."""

_BESIDE: Final = ("position", "stream_id", "version", "occurred_at")
"""What `EventTypes.columns` gives before the fields."""
_HUMP: Final = re.compile(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])")


@dataclass(frozen=True, slots=True)
class Typed:
    """Rows follow from the events alone, and no two batches give rows of one key: nothing that is there is ever read.

    An event whose payload was erased keeps its row: its fields are null.
    """

    engine: ClassVar[str] = "arrow"
    sees_erased: ClassVar[bool] = True

    event_type: EventType[Any]

    def faults(self, declared: Declared) -> Iterator[Fault]:
        name, types = self.event_type.name, declared.event_types
        if types is None or name not in types or types[name] != self.event_type:
            yield Fault("event_types", f"lack {name!r} as it is here", "declare the projection by typed_table")
        elif (declared.types, declared.key, declared.columns) != (None, KEY, columns_of(types, name)):
            yield Fault("columns, key or types", f"are not what follows from {name!r}", "declare the projection by typed_table")

    def reads(self, declared: Declared) -> tuple[str, ...]:
        return (self.event_type.name,)

    def at_once(self, declared: Declared, chosen: str) -> None:
        """What the JSON says is for the class to tell, so they see batches."""

    def determined_by(self) -> tuple[object, ...]:
        bases = self.event_type.cls.__mro__        # fields and defaults may be inherited, but not from a library
        return tuple(base for base in bases if _package(base) == _package(bases[0]))

    def open(self, declared: Declared) -> AbstractContextManager[TypedFold]:
        assert declared.event_types is not None
        return nullcontext(TypedFold(declared, declared.event_types, self.event_type.name))


class TypedFold:
    """The typed form at work. UnreadableEventError: a value does not fit its column, or an event is newer than this code."""

    def __init__(self, declared: Declared, types: EventTypes, type_name: str) -> None:
        self._columns, self._none = declared.columns, key_schema(declared).empty_table()
        self._types, self._type_name = types, type_name

    def touched(self, events: pa.Table) -> Touched:
        rows = self._rows(events)
        return Touched(self._none, lambda current: Changes(rows, self._none))

    def _rows(self, events: pa.Table) -> pa.Table:
        log = events.append_column("piece", _pieces(events["position"])).select(LOG.names)
        fields = _fields(self._types.columns(events, self._type_name))
        return pa.Table.from_arrays([*log.columns, *fields.columns], names=self._columns.names).cast(self._columns)


def columns_of(types: EventTypes, type_name: str) -> pa.Schema:
    """The columns of a type's table."""
    with MemoryEventStore() as store:
        nothing = store.read_all().read_all()
    return pa.schema([*LOG, *_fields(types.columns(nothing, type_name)).schema])


def plain_fields(types: EventTypes, type_name: str) -> pa.Schema:
    """The columns of a type's table that hold personal fields, as they would be if these were not encrypted."""
    with MemoryEventStore() as store:
        nothing = store.read_all().read_all()
    plain, personal = types.plain_columns(nothing, type_name), types.personal_names(type_name)
    named = zip(_fields(plain).schema, plain.drop_columns(list(_BESIDE)).column_names, strict=True)
    return pa.schema([field for field, name in named if name.removeprefix("data_") in personal or name in personal])


def snake(name: str) -> str:
    """`FlightDeparted` as `flight_departed`; what is no letter or digit of ASCII becomes an underscore."""
    return re.sub("[^a-z0-9_]+", "_", _HUMP.sub("_", name).lower()).strip("_")


def _package(cls: type) -> str:
    return cls.__module__.partition(".")[0]


def _pieces(positions: pa.ChunkedArray) -> pa.Array:
    """One by one from 1 where a position repeats. They are in order."""
    position, row = pl.col("position"), pl.int_range(pl.len())
    first = pl.when(position.ne_missing(position.shift())).then(row).forward_fill()
    frame: pl.DataFrame = pl.from_arrow(pa.table({"position": positions}))
    return frame.select((row - first + 1).cast(pl.Int32)).to_series().to_arrow()


def _fields(typed: pa.Table) -> pa.Table:
    """In the types and by the names that a table can have."""
    fields = typed.drop_columns(list(_BESIDE))
    named = fields.rename_columns([_column_name(name) for name in fields.column_names])
    for index, field in enumerate(named.schema):
        if not is_held(field.type):
            named = named.set_column(index, field.name, _as_json(named.column(index)))
    return named


def _column_name(field: str) -> str:
    name = snake(field)
    return f"data_{name}" if name in LOG.names or not name[:1].isalpha() else name


def _as_json(column: pa.ChunkedArray) -> pa.Array:
    texts = [None if value is None else orjson.dumps(value, default=str).decode() for value in column.to_pylist()]
    return pa.array(texts, pa.string())

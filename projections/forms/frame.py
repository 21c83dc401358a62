"""The frame form of a projection: two Polars functions, which rows these events touch, and what becomes of those."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import Any, ClassVar, TypeAlias

import polars as pl
import pyarrow as pa
import pyarrow.compute as pc

from projections.errors import Fault
from projections.forms.form import Changes, Declared, Touched, key_schema
from store import MemoryEventStore

Touches: TypeAlias = Callable[[pl.DataFrame], pl.DataFrame]
Change: TypeAlias = Callable[[pl.DataFrame, pl.DataFrame], pl.DataFrame | tuple[pl.DataFrame, pl.DataFrame]]


@dataclass(frozen=True, slots=True)
class Frame:
    """`touches(events)` gives the keys of the rows that these events may change, in the key's columns; repeats do not matter.

    `change(current, events)` gets those of these rows that there are, in no particular order, and gives the rows as they
    are from now on, one a key, and with them, if some go, a second frame of the keys whose rows are deleted; the others
    stay. Columns that are not declared are left out. Events have the log's columns, `data` is JSON text; those whose
    payload was erased are passed over. Both functions depend on what they are given alone, and give the same rows however
    the events are cut into batches. They are tried with empty frames when the projection is declared.
    """

    engine: ClassVar[str] = "polars"
    sees_erased: ClassVar[bool] = False

    touches: Touches
    change: Change

    def faults(self, declared: Declared) -> Iterator[Fault]:
        with MemoryEventStore() as store:
            nothing = store.read_all().read_all()
        remedy = "it must take empty frames of the log's and of the declared columns, too"
        stage, fold = "touches", FrameFold(self, declared)
        try:
            touched = fold.touched(nothing)
            stage = "change"
            touched.change(declared.columns.empty_table())
        except Exception as error:  # the functions are the user's: they may raise anything
            yield Fault(stage, f"was tried without events ({type(error).__name__}: {error})", remedy)

    def reads(self, declared: Declared) -> tuple[str, ...] | None:
        return declared.types

    def at_once(self, declared: Declared, chosen: str) -> None:
        """They see batches."""

    def determined_by(self) -> tuple[object, ...]:
        return self.touches, self.change

    def open(self, declared: Declared) -> AbstractContextManager[FrameFold]:
        return nullcontext(FrameFold(self, declared))


class FrameFold:
    """The frame form at work. Raises ValueError for frames that are not as declared, and what the functions raise."""

    def __init__(self, form: Frame, declared: Declared) -> None:
        self._form, self._columns, self._key = form, declared.columns, key_schema(declared)

    def touched(self, events: pa.Table) -> Touched:
        frame: pl.DataFrame = pl.from_arrow(events)
        keys = self._distinct(_table("touches", self._form.touches(frame), self._key))
        return Touched(keys, lambda current: self._changes(keys, current, frame))

    def _changes(self, keys: pa.Table, current: pa.Table, events: pl.DataFrame) -> Changes:
        given = self._form.change(pl.from_arrow(current), events)
        put, gone = given if isinstance(given, tuple) and len(given) == 2 else (given, None)
        rows = _table("change", put, self._columns)
        deleted = self._key.empty_table() if gone is None else self._distinct(_table("change", gone, self._key))
        for table in (rows, deleted):
            self._refuse_any("a key that touches did not name", self._join(table, keys, "left anti"))
        if len(self._distinct(rows)) < len(rows):
            counted = rows.group_by(self._key.names).aggregate([([], "count_all")])
            self._refuse_any("more than one row for a key", counted.filter(pc.greater(counted["count_all"], 1)))
        self._refuse_any("a row, and deletes it,", self._join(deleted, rows, "left semi"))
        return Changes(rows, self._join(deleted, current, "left semi"))

    def _distinct(self, table: pa.Table) -> pa.Table:
        return table.group_by(self._key.names).aggregate([])

    def _join(self, left: pa.Table, right: pa.Table, how: str) -> pa.Table:
        """Of the keys alone: Arrow joins no rows that hold lists."""
        return left.select(self._key.names).join(right.select(self._key.names), self._key.names, join_type=how)

    def _refuse_any(self, what: str, rows: pa.Table) -> None:
        if len(rows):
            raise ValueError(f"change gives {what} such as {rows.select(self._key.names).slice(0, 1).to_pylist()[0]}")


def _table(function: str, given: Any, schema: pa.Schema) -> pa.Table:
    """What a function gave, in the declared columns and types. ValueError: it cannot be had without loss."""
    if not isinstance(given, pl.DataFrame):
        raise ValueError(f"{function} gives a {type(given).__name__}: give a polars.DataFrame")
    if lacking := [name for name in schema.names if name not in given.columns]:
        raise ValueError(f"{function} gives no column {', '.join(lacking)}, only {', '.join(given.columns)}")
    return given.select(schema.names).to_arrow().cast(schema)

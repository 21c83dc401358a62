"""The SQL form of a projection: a select over new events, and how two rows of one key become one."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import reduce
from types import TracebackType
from typing import ClassVar, Final, Self

import duckdb
import pyarrow as pa
import pyarrow.compute as pc

from projections.errors import Fault
from projections.forms.form import Changes, Declared, Touched, key_schema
from store import MemoryEventStore, without_husks

_SPACE: Final = re.compile(r"""('(?:[^']|'')*'|"(?:[^"]|"")*")|(?:--[^\n]*|/\*.*?\*/|\s)+""", re.DOTALL)
# All associative: the rows come out the same however the log is cut into batches.
_COMBINES: Final = {
    "sum": "sum({column})",
    "count": "coalesce(sum({column}), 0)",
    "min": "min({column})",
    "max": "max({column})",
    "first": "arg_min({column}, {order})",
    "last": "arg_max({column}, {order})",
}


@dataclass(frozen=True, slots=True)
class Sql:
    """`select` reads the view `events` (one batch of the log; times are UTC) and gives any number of rows for a key.

    `combine` says for every column outside the key how its rows become one: sum, min, max; count (a sum that is 0 where
    sum is null); first, last in log order (null is no value), for which the select gives `position` too. The select
    must depend on the events alone (no clock, no random, no other table), and on each event or on sums over them. Of an event whose payload
    was erased the fields in `data` are null; a row whose key is null for such events alone is left out.
    """

    engine: ClassVar[str] = "duckdb"
    sees_erased: ClassVar[bool] = True

    select: str
    combine: Mapping[str, str]

    def faults(self, declared: Declared) -> Iterator[Fault]:
        for column in declared.columns:
            if column.name not in declared.key:
                yield from _faults_of_combine(column, self.combine.get(column.name))
        for name in self.combine:
            if name in declared.key or name not in declared.columns.names:
                yield Fault(f"combine of {name!r}", "is for no column outside the key", "remove it, or add the column")
        yield from self._faults_of_select(declared)

    def reads(self, declared: Declared) -> tuple[str, ...] | None:
        return declared.types

    def at_once(self, declared: Declared, chosen: str) -> str:
        with self.open(declared) as fold:
            return f"with events as (from events where {chosen}) {fold.of_events()}"

    def determined_by(self) -> tuple[object, ...]:
        return same_sql(self.select), dict(self.combine)

    def open(self, declared: Declared) -> SqlFold:
        return SqlFold(self, declared)

    def ordered(self) -> bool:
        return not {"first", "last"}.isdisjoint(self.combine.values())

    def _faults_of_select(self, declared: Declared) -> Iterator[Fault]:
        with MemoryEventStore() as store, self.open(declared) as fold:
            nothing = store.read_all().read_all()
            try:
                given = fold.given(nothing)
                for name in (*declared.columns.names, *(["position"] if self.ordered() else [])):
                    if name not in given:
                        yield Fault("select", f"gives no {name}, only {', '.join(given)}", f"add it to the select: … as {name}")
                fold.rows(nothing)
            except duckdb.Error as error:
                yield Fault("select", "is refused by DuckDB", str(error))


class SqlFold:
    """The SQL form at work, in a DuckDB of its own. Raises duckdb.Error when the select meets data it cannot take."""

    def __init__(self, form: Sql, declared: Declared) -> None:
        self._form, self._key, self._columns = form, declared.key, declared.columns
        self._none = key_schema(declared).empty_table()
        # Rows come from the events alone, or a rebuild would differ: no files, no variables of the caller's Python.
        self._duckdb = duckdb.connect(config={"enable_external_access": False, "python_enable_replacements": False})
        self._duckdb.execute("set TimeZone = 'UTC'")
        types = self._duckdb.from_arrow(self._columns.empty_table()).types
        self._types = {name: str(type) for name, type in zip(self._columns.names, types, strict=True)}

    def given(self, events: pa.Table) -> list[str]:
        """The columns that the select gives."""
        self._duckdb.register("events", events)
        return list(self._duckdb.sql(f"from ({self._form.select}\n)").columns)

    def touched(self, events: pa.Table) -> Touched:
        fresh = self._keyed(self.rows(events), events)
        return Touched(fresh.select(self._key), lambda current: Changes(self.combine(current, fresh), self._none))

    def _keyed(self, rows: pa.Table, events: pa.Table) -> pa.Table:
        """Without those that have no key only because it was erased."""
        missing = [name for name in self._key if rows[name].null_count]
        if not missing or len(rest := without_husks(events)) == len(events):
            return rows
        if any(self.rows(rest)[name].null_count for name in missing):
            return rows
        return rows.filter(reduce(pc.and_, (rows[name].is_valid() for name in missing)))

    def rows(self, events: pa.Table) -> pa.Table:
        """One row a key, of these events alone."""
        self._duckdb.register("events", events)
        return self._rows(self.of_events())

    def combine(self, current: pa.Table, fresh: pa.Table) -> pa.Table:
        """One row a key: what was there, then what these events add."""
        self._duckdb.register("current", current)
        self._duckdb.register("fresh", fresh)
        # No column of ours can be called "#".
        return self._rows(self._combined('(select *, 0 as "#" from current union all by name select *, 1 as "#" from fresh)', '"#"'))

    def close(self) -> None:
        self._duckdb.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()

    def of_events(self) -> str:
        """A query for one row a key, of the view `events` alone."""
        return self._combined(f"({self._form.select}\n)", "position")

    def _combined(self, source: str, order: str) -> str:
        keys = ", ".join(f'"{name}"' for name in self._key)
        typed = ", ".join(f'cast("{name}" as {type}) as "{name}"' for name, type in self._types.items())
        values = ", ".join(self._value(name) for name in self._columns.names)
        placed = f', {order} as "#"' if self._form.ordered() else ""
        return f"select {values} from (select {typed}{placed} from {source}) group by {keys}"

    def _rows(self, query: str) -> pa.Table:
        return self._duckdb.sql(query).to_arrow_table().cast(self._columns)

    def _value(self, name: str) -> str:
        if name in self._key:
            return f'"{name}"'
        combined = _COMBINES[self._form.combine[name]].format(column=f'"{name}"', order='"#"')
        return f'cast({combined} as {self._types[name]}) as "{name}"'


def same_sql(select: str) -> str:
    """The select without comments, each stretch of white space outside quotes as one space."""
    return _SPACE.sub(lambda found: found[1] or " ", select).strip()


def _faults_of_combine(column: pa.Field, how: str | None) -> Iterator[Fault]:
    if how not in _COMBINES:
        problem = "has no combine" if how is None else f"has the unknown combine {how!r}"
        yield Fault(f"column {column.name!r}", problem, f"say how two rows of one key become one: {', '.join(_COMBINES)}")
    if how == "count" and not pa.types.is_integer(column.type):
        yield Fault(f"column {column.name!r}", f"counts in {column.type}", "take int64")
    if how == "sum" and not (pa.types.is_integer(column.type) or pa.types.is_decimal(column.type)):
        # A floating-point sum depends on the order of its terms, hence on the batches: a rebuild would differ.
        yield Fault(f"column {column.name!r}", f"sums {column.type}, which has no exact sum", "take int64 or decimal128")

"""All rows of a SQL projection as one query of Sail's, the same rows that its query of DuckDB's gives."""

from __future__ import annotations

from typing import Final, NamedTuple

import pyarrow as pa

from projections.forms.sql import Sql
from projections.projection import Projection
from projections.running.batches import stored_types
from projections.sail.expressions import Expressions
from projections.sail.literals import INTEGERS, digits, quoted, sail_type
from projections.sail.select import Node, Select, Unproven, columns_in, refused

_COMBINES: Final = {
    "min": "min({0})",
    "max": "max({0})",
    "first": "min_by({0}, place) filter (where {0} is not null)",      # DuckDB's leaves null out by itself
    "last": "max_by({0}, place) filter (where {0} is not null)",
}
_KINDS: Final = {
    pa.string(): "VARCHAR",
    pa.bool_(): "BOOLEAN",
    pa.int32(): "INTEGER",
    pa.int64(): "BIGINT",
    pa.float64(): "DOUBLE",
    pa.date32(): "DATE",
    pa.timestamp("us", tz="UTC"): "TIMESTAMP WITH TIME ZONE",
}


class SailQuery(NamedTuple):
    """`read`: the columns that it takes, of the events for which `chosen` holds; `made`: what it makes of them; `zones`: in which it reads times."""

    read: str
    chosen: str
    made: str
    zones: tuple[str, ...]

    def rows(self, uri: str, until: int) -> str:
        """All rows, of the log in the Delta table there, up to that position."""
        return f"with taken as (select {self.read} from {_table(uri)} where position <= {until} and {self.chosen}), {self.made}"

    def seen(self, uri: str, until: int) -> str:
        """How many events there are, and how many of them it reads."""
        return f"select count(*) as there, count_if({self.chosen}) as chosen from {_table(uri)} where position <= {until}"


def sail_query(projection: Projection) -> SailQuery:
    """DeclarationError, with the remedy: it says something that nobody has proven to give the same rows on Sail as in DuckDB."""
    assert isinstance(projection.form, Sql)
    try:
        with Select(projection.form.select) as select:
            return _query(projection, projection.form, select)
    except Unproven as error:
        raise refused(projection.name, error) from error


def _query(projection: Projection, form: Sql, select: Select) -> SailQuery:
    said = Expressions(select)
    given = [f"{_given(said, select, select.columns[column.name], kind_of(column))} as `{column.name}`" for column in projection.columns]
    if form.ordered():
        given.append(f"{_place(said, select)} as place")
    where = "" if select.where is None else f"where {said.sql(select.where)}"
    read = sorted(set(columns_in([*select.columns.values(), select.where])) | {"position"})
    values = ", ".join(_value(column, projection, form) for column in projection.columns)
    made = f"""
        said as (select {", ".join(["*", *said.extracts.parsed()])} from taken),
        given as (select {", ".join(given)} from said {where})
        select {values} from given group by {", ".join(f"`{name}`" for name in projection.key)}
    """
    return SailQuery(", ".join([*read, *said.extracts.read()]), _chosen(projection), made, tuple(sorted(said.zones)))


def _table(uri: str) -> str:
    return f"delta.`{uri.replace('`', '``')}`"


def _given(said: Expressions, select: Select, node: Node, kind: str) -> str:
    if node["class"] != "FUNCTION" or node["function_name"].lower() != "unnest":
        return said.cast(node, kind)
    (of, *others) = [argument["expression"] for argument in node["arguments"]]
    if others or of["class"] != "COLUMN_REF" or select.type_of(of) != "VARCHAR[]" or kind != "VARCHAR":
        raise Unproven(select.text(node))
    return f"explode({of['column_names'][0]})"


def _place(said: Expressions, select: Select) -> str:
    """Of the event that a row comes from. Where one event gives several rows of a key, none of them is the last."""
    if any(node["class"] == "FUNCTION" and node["function_name"].lower() == "unnest" for node in select.columns.values()):
        raise Unproven("unnest beside first or last")
    if (place := select.columns["position"])["class"] != "COLUMN_REF" or place["column_names"] != ["position"]:
        raise Unproven(f"{select.text(place)} as position")
    return said.sql(place)


def _value(column: pa.Field, projection: Projection, form: Sql) -> str:
    name = f"`{column.name}`"
    if column.name in projection.key:
        return name
    how, kind = form.combine[column.name], kind_of(column)
    if how in _COMBINES:
        return f"{_COMBINES[how].format(name)} as {name}"
    total = _sum(name, kind)
    return f"{f'coalesce({total}, 0)' if how == 'count' else total} as {name}"


def _sum(name: str, kind: str) -> str:
    """Exact: Sail's own of integers goes round at 64 bits, and so would one of decimals of all digits."""
    if kind in INTEGERS:
        return f"sum(cast({name} as decimal(19, 0)))"
    before, behind = digits(kind) or (38, 0)
    if before + behind > 28:
        raise Unproven(f"a sum of {kind}, of more than 28 digits")
    return f"sum({name})"


def kind_of(column: pa.Field) -> str:
    """DuckDB's name of a column's type."""
    if pa.types.is_decimal(column.type):
        return f"DECIMAL({column.type.precision},{column.type.scale})"
    kind = _KINDS.get(column.type)
    if kind is None or sail_type(kind) is None:
        raise Unproven(f"the column {column.name} of {column.type}")
    return kind


def _chosen(projection: Projection) -> str:
    """The condition on the events that it reads."""
    types = stored_types(projection)
    conditions = [] if types is None else [f"type in ({', '.join(map(quoted, types))})"]
    if projection.categories is not None:
        conditions.append(f"split_part(stream_id, '-', 1) in ({', '.join(map(quoted, projection.categories))})")
    return " and ".join(conditions) or "true"

"""What differs between two sets of rows with one key: rows added, removed, and changed."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import polars as pl
import pyarrow as pa

from projections.errors import KeyRefusedError
from projections.models.model import Readable
from store import Cell, Display, Mark, rows_without

SHOWN_ROWS: Final = 10
"""Of each kind, as text and in a notebook."""
_MARKS: Final[Mapping[str, Mark]] = {"+": "added", "−": "removed", "~": ""}


@dataclass(frozen=True, slots=True, repr=False, eq=False)
class RowDiff:
    """`added` has the columns of after, `removed` those of before; both in the order of the rows they come from.

    `changed`, in the order of before: the key, and for every column that changed in some row a struct {before, after}, null in the rows where
    it did not. Null equals null, and NaN equals NaN. `same`: how many rows are.
    `apart`: columns that could not be compared, with their types before and after; None: there it is not.
    """

    key: tuple[str, ...]
    added: pa.Table
    removed: pa.Table
    changed: pa.Table
    same: int
    apart: Mapping[str, tuple[pa.DataType | None, pa.DataType | None]]

    @property
    def is_empty(self) -> bool:
        """No row differs, as far as they could be compared."""
        return not (len(self.added) or len(self.removed) or len(self.changed))

    def changes(self) -> dict[str, int]:
        """In how many rows each column changed."""
        return {name: len(self.changed) - self.changed[name].null_count for name in self.changed.column_names if name not in self.key}

    def table(self, rows: int = 1000) -> pa.Table:
        """For people: one line a row, of each kind so many at most, all as text. `±` is +, − or ~; of those changed `before → after`."""
        lines = [{"±": sign, **cells} for sign, cells in self._lines(rows)]
        names = dict.fromkeys(["±", *self.key, *(name for line in lines for name in line)])
        return pa.Table.from_pylist(lines, pa.schema([(name, pa.string()) for name in names]))

    def __str__(self) -> str:
        lines = [f"{sign} {' '.join(f'{name}={cell}' for name, cell in cells.items())}" for sign, cells in self._lines(SHOWN_ROWS)]
        total = len(self.added) + len(self.removed) + len(self.changed)
        left = [f"… and {total - len(lines)} more"] if total > len(lines) else []
        return "\n".join([repr(self), *lines, *left])

    def __repr__(self) -> str:
        columns = ", ".join(f"{name} {count}" for name, count in self.changes().items())
        counts = f"{len(self.added)} added, {len(self.removed)} removed, {len(self.changed)} changed{f' ({columns})' if columns else ''}"
        apart = ", ".join(f"{name} ({before or 'not there'} before, {after or 'not there'} after)" for name, (before, after) in self.apart.items())
        return f"{counts}, {self.same} the same{f'; not compared: {apart}' if apart else ''}"

    def _repr_html_(self) -> str:
        return self._display().html()

    def _display(self) -> Display:
        lines = list(self._lines(SHOWN_ROWS))
        names = list(dict.fromkeys([*self.key, *(name for _, cells in lines for name in cells)]))
        left = len(self.added) + len(self.removed) + len(self.changed) - len(lines)
        return Display(
            title=repr(self),
            columns=["±", *names],
            rows=[[Cell(sign, _MARKS[sign]), *(self._marked(sign, name, cells.get(name, "")) for name in names)] for sign, cells in lines],
            notes=[f"… and {left:,} more"] if left else [],
        )

    def _marked(self, sign: str, name: str, cell: str) -> Cell:
        return Cell(cell, "changed" if sign == "~" and cell and name not in self.key else _MARKS[sign])

    def _lines(self, rows: int) -> Iterator[tuple[str, dict[str, str]]]:
        for sign, of in (("+", self.added), ("−", self.removed), ("~", self.changed)):
            for row in of.slice(0, rows).to_pylist():
                yield sign, {name: _cell(value) for name, value in row.items() if value is not None}


def diff(before: Readable, after: Readable) -> RowDiff:
    """Of two read models: two versions of one, or the same at two positions. All rows are in memory meanwhile. KeyRefusedError."""
    if before.projection.key != after.projection.key:
        problem = f"has the key {', '.join(after.projection.key)}, not {', '.join(before.projection.key)}"
        raise KeyRefusedError(after.projection.name, problem, "only rows of one key can be told apart by it")
    return _diff(before.rows(), after.rows(), after.projection.key)


def diff_tables(before: pa.Table, after: pa.Table, key: Sequence[str]) -> RowDiff:
    """Of two tables. KeyRefusedError: the columns of the key are not in both, of the same types, never null, and one row a key."""
    for which, table in (("before", before), ("after", after)):
        if lacking := [name for name in key if name not in table.column_names]:
            raise KeyRefusedError(which, f"has no column {', '.join(lacking)}", f"take a key of {', '.join(table.column_names)}")
        if any(table[name].null_count for name in key) or len(table.group_by(list(key)).aggregate([])) < len(table):
            raise KeyRefusedError(which, f"has rows that {', '.join(key)} does not tell apart", "take more columns, and none that is null")
    if unlike := [name for name in key if before[name].type != after[name].type]:
        raise KeyRefusedError("after", f"has another type of {', '.join(unlike)} than before", "cast one of them")
    return _diff(before, after, key)


def _diff(before: pa.Table, after: pa.Table, key: Sequence[str]) -> RowDiff:
    names = [name for name in dict.fromkeys([*before.column_names, *after.column_names]) if name not in key]
    types = {name: tuple(table.schema.field(name).type if name in table.column_names else None for table in (before, after)) for name in names}
    compared = [name for name, (was, is_) in types.items() if was is not None and is_ is not None and _comparable(was, is_)]
    changed = _changed(before, after, key, compared)
    removed = rows_without(before, after, key)
    same = len(before) - len(removed) - len(changed)
    return RowDiff(
        tuple(key), rows_without(after, before, key), removed, changed, same,
        {name: (was, is_) for name, (was, is_) in types.items() if name not in compared},
    )  # fmt: skip


def _changed(before: pa.Table, after: pa.Table, key: Sequence[str], compared: Sequence[str]) -> pa.Table:
    """By Polars, whose `ne_missing` takes null for equal to null, and NaN to NaN."""
    left = pl.DataFrame(pl.from_arrow(before.select([*key, *compared])))
    right = pl.DataFrame(pl.from_arrow(after.select([*key, *compared])))
    # Numbers for names: a column may be called as the other side of its neighbour would be.
    left = left.rename({name: f"before {number}" for number, name in enumerate(compared)})
    right = right.rename({name: f"after {number}" for number, name in enumerate(compared)})
    differ = [pl.col(f"before {number}").ne_missing(pl.col(f"after {number}")) for number in range(len(compared))]
    pairs = left.join(right, on=list(key), how="inner", maintain_order="left").filter(pl.any_horizontal(differ) if differ else pl.lit(False))
    fields = [before.schema.field(name) for name in key]
    columns = [pl.col(name) for name in key]
    for number, (name, differs) in enumerate(zip(compared, differ, strict=True)):
        if pairs.select(differs.any()).item():
            both = pl.struct(pl.col(f"before {number}").alias("before"), pl.col(f"after {number}").alias("after"))
            columns.append(pl.when(differs).then(both).alias(name))
            fields.append(pa.field(name, pa.struct([("before", before.schema.field(name).type), ("after", after.schema.field(name).type)])))
    return pairs.select(columns).to_arrow().cast(pa.schema(fields))


def _comparable(was: pa.DataType, is_: pa.DataType) -> bool:
    return was == is_ or any(kind(was) and kind(is_) for kind in (pa.types.is_integer, pa.types.is_floating))


def _cell(value: Any) -> str:
    if isinstance(value, dict):
        return f"{value['before']} → {value['after']}"
    return str(value)

"""Rows against schemas: the one that follows from a projection's declaration, and one that its author gives."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import polars as pl

from pipelines.checks.check import SHOWN_ROWS, Check, Look, Verdict
from projections import Projection, ServingModel


def rows_as_declared(projection: Projection) -> Check:
    holds = f"Rows have the declared columns and types; {', '.join(projection.key)} is never null, and no two rows have the same."
    return _rows(projection, "schema", holds, lambda: _declared(projection))


def rows_as_given(projection: Projection, schema: Callable[[], Any]) -> Check:
    return _rows(projection, "own_schema", "Rows pass the schema that the domain gives.", schema)


def failures(schema: Any, frame: pl.DataFrame) -> tuple[list[str], dict[int, list[str]]]:
    """What pandera finds, all at once: of the columns as a whole, and by row. What is wrong with the schema itself is raised."""
    from pandera.errors import SchemaErrors  # which takes a third of a second

    try:
        schema.validate(frame, lazy=True)          # a DataFrame: of a LazyFrame it would look at the types alone
    except SchemaErrors as error:
        whole, by_row = list[str](), dict[int, list[str]]()
        for case in error.failure_cases.iter_rows(named=True):
            told = _told(case)
            if case["index"] is None:
                whole.append(f"{told}, not {case['failure_case']}")
            else:
                by_row.setdefault(case["index"], []).append(told)
        return whole, dict(sorted(by_row.items()))
    return [], {}


def _rows(projection: Projection, name: str, holds: str, schema: Callable[[], Any]) -> Check:
    def look(look: Look) -> Verdict:
        model = ServingModel(look.warehouse, projection).now()
        frame = pl.DataFrame(pl.from_arrow(model.rows(limit=look.most)))
        whole, by_row = failures(schema(), frame)
        told = {"rows_checked": len(frame), "rows": model.row_count()}
        if not whole and not by_row:
            return Verdict(told=told)
        rows = [{**frame.row(index, named=True), "fails": ", ".join(why)} for index, why in list(by_row.items())[:SHOWN_ROWS]]
        return Verdict(problem="; ".join([*whole, *([f"{len(by_row):,} rows break the schema"] if by_row else [])]),
                       rows=rows, failing=len(by_row), told=told)  # fmt: skip

    return Check(name=name, holds=holds, look=look)


def _declared(projection: Projection) -> Any:
    import pandera.polars as pandera

    types = pl.DataFrame(pl.from_arrow(projection.columns.empty_table())).schema
    columns = {name: pandera.Column(kind, nullable=name not in projection.key) for name, kind in types.items()}
    return pandera.DataFrameSchema(columns, unique=list(projection.key), strict=True)


def _told(case: Mapping[str, Any]) -> str:
    return str(case["check"]) if case["column"] is None else f"{case['column']} {case['check']}"

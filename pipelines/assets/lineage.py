"""Where columns come from: which columns of the log each column of a read model is made of."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import dagster as dg
import duckdb
import orjson

from pipelines.assets.columns import BESIDE_FIELDS
from pipelines.assets.event_log import EVENT_LOG
from projections import Projection, Sql, Typed
from store import EVENTS


def column_lineage(projection: Projection) -> dg.TableColumnLineage | None:
    """None where it cannot be told without guessing: what Python functions read (`Frame`, `Handlers`) only they know."""
    match projection.form:
        case Sql(select=select, combine=combine):
            return _lineage(_of_select(select, projection.columns.names, combine))
        case Typed():
            return _lineage({name: [_of_event(name)] for name in projection.columns.names})
    return None


def _lineage(read: Mapping[str, Sequence[str]]) -> dg.TableColumnLineage:
    return dg.TableColumnLineage({name: [dg.TableColumnDep(EVENT_LOG, column) for column in columns] for name, columns in read.items() if columns})


def _of_event(name: str) -> str:
    return "data" if name not in BESIDE_FIELDS else "position" if name == "piece" else name


def _of_select(select: str, names: Sequence[str], combine: Mapping[str, str]) -> dict[str, list[str]]:
    """DuckDB plans the select for one column alone; what its plan still reads of the log is what that column depends on, conditions included."""
    with duckdb.connect(config={"enable_external_access": False, "python_enable_replacements": False}) as connection:
        connection.execute("set TimeZone = 'UTC'")
        connection.from_arrow(EVENTS.empty_table()).create("events")
        # Or conditions would go into the scan, and an empty table would not be read at all.
        connection.execute("set disabled_optimizers = 'statistics_propagation,filter_pushdown'")
        told = {}
        for name in names:
            ordered = ', "position"' if combine.get(name) in ("first", "last") else ""
            ((_, plan),) = connection.execute(f'explain (format json) select "{name}"{ordered} from ({select}\n)').fetchall()
            told[name] = sorted({column for node in orjson.loads(plan) for column in _read(node)}, key=EVENTS.names.index)
    return told


def _read(node: Mapping[str, Any]) -> Iterator[str]:
    for child in node["children"]:
        yield from _read(child)
    if node["name"] == "SEQ_SCAN":
        columns = node["extra_info"].get("Projections", [])
        yield from (column for column in ([columns] if isinstance(columns, str) else columns) if column in EVENTS.names)

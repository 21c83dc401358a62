from __future__ import annotations

from dataclasses import replace
from typing import Any

import msgspec
import pyarrow as pa
import pytest

from projections import DeclarationError, Projection, ProjectionError, Sql
from store import EventType, EventTypes, Rename


class Noted(msgspec.Struct):
    note: str = ""


TYPES = EventTypes(EventType("Noted", Noted), steps=[Rename("Written", 1, to="Noted", to_version=1)])
COLUMNS = pa.schema({"k": pa.string(), "n": pa.int64()})
SELECT = "select stream_id as k, 1 as n, position from events"
GOOD: dict[str, Any] = {"name": "p", "version": 1, "key": ("k",), "columns": COLUMNS, "form": Sql(SELECT, {"n": "sum"})}


def test_a_declaration_is_a_value() -> None:
    assert Projection(**GOOD) == Projection(**GOOD)


@pytest.mark.parametrize(
    ("change", "field", "remedy"),
    [
        ({"name": "No Name"}, "name", "lower-case"),
        ({"version": 0}, "version", "from 1"),
        ({"version": True}, "version", "from 1"),
        ({"types": "Deposited"}, "types", "tuple"),
        ({"types": ("Noted", "Written"), "event_types": TYPES}, "types", "newest shapes: Noted"),
        ({"categories": ()}, "categories", "None for all"),
        ({"key": "k"}, "key", "tuple"),
        ({"key": ()}, "key", "one or more"),
        ({"key": ("other",)}, "key 'other'", "add it"),
        ({"columns": pa.schema({"k": pa.float64(), "n": pa.int64()})}, "key 'k'", "integer, decimal or string"),
        ({"columns": COLUMNS.append(pa.field("Loud", pa.int64()))}, "column 'Loud'", "lower-case"),
        ({"columns": COLUMNS.append(pa.field("local", pa.timestamp("us")))}, "column 'local'", "tz=UTC"),
        ({"columns": COLUMNS.append(pa.field("many", pa.list_(pa.timestamp("us"))))}, "column 'many'", "lists and structs of these"),
        ({"columns": COLUMNS.append(pa.field("odd", pa.struct({"Loud": pa.int64()})))}, "column 'odd'", "in lower case"),
        ({"columns": COLUMNS.append(pa.field("none", pa.struct([])))}, "column 'none'", "lists and structs of these"),
        ({"columns": pa.schema({"k": pa.list_(pa.string()), "n": pa.int64()})}, "key 'k'", "single values"),
        ({"columns": COLUMNS.append(pa.field("n", pa.int64()))}, "columns", "once"),
        ({"form": Sql(SELECT, {})}, "column 'n'", "sum, count, min, max, first, last"),
        ({"form": Sql(SELECT, {"n": "avg"})}, "column 'n'", "sum, count, min, max, first, last"),
        ({"form": Sql(SELECT, {"n": "sum", "k": "max"})}, "combine of 'k'", "remove it"),
        ({"form": Sql(SELECT, {"n": "sum", "m": "max"})}, "combine of 'm'", "remove it"),
        ({"columns": pa.schema({"k": pa.string(), "n": pa.float64()})}, "column 'n'", "decimal128"),
        ({"columns": pa.schema({"k": pa.string(), "n": pa.string()}), "form": Sql(SELECT, {"n": "count"})}, "column 'n'", "int64"),
        ({"form": Sql("select stream_id as k, position from events", {"n": "sum"})}, "select", "as n"),
        ({"form": Sql("select stream_id as k, 1 as n from events", {"n": "last"})}, "select", "as position"),
        ({"form": Sql("select nothing as k, 1 as n from events", {"n": "sum"})}, "select", "nothing"),
        ({"form": Sql("select from from", {"n": "sum"})}, "select", "syntax error"),
        ({"form": Sql("select 'a' as k, 1 as n from 'other.parquet'", {"n": "sum"})}, "select", "disabled"),
    ],
)
def test_a_wrong_declaration_is_refused_with_the_remedy(change: dict[str, Any], field: str, remedy: str) -> None:
    with pytest.raises(DeclarationError) as refusal:
        Projection(**{**GOOD, **change})
    assert refusal.value.fault.field == field
    assert remedy in refusal.value.fault.remedy
    assert "'p'" in str(refusal.value) or "No Name" in str(refusal.value)


def test_a_changed_declaration_is_checked_again() -> None:
    with pytest.raises(ProjectionError):
        replace(Projection(**GOOD), key=("other",))

from __future__ import annotations

import dagster as dg

from pipelines.assets.columns import column_schema, log_schema
from projections import typed_table
from store import EVENTS
from tests.pipelines.library import READERS, TYPES


def by_name(schema: dg.TableSchema) -> dict[str, dg.TableColumn]:
    return {column.name: column for column in schema.columns}


def test_the_columns_of_the_key_are_never_null_and_say_what_makes_a_row() -> None:
    columns = by_name(column_schema(READERS))
    assert (columns["reader"].constraints.nullable, columns["reader"].constraints.unique) == (False, True)
    assert (columns["loans"].constraints.nullable, columns["loans"].type) == (True, "int64")
    assert column_schema(READERS).constraints.other == ["one row for each reader"]


def test_a_column_is_described_by_its_field_or_by_how_its_rows_are_combined() -> None:
    columns = by_name(column_schema(READERS))
    assert [columns[name].description for name in READERS.columns.names] == [
        "By name.", "Counted over the events of its key.", "Of the last event of its key.",
    ]  # fmt: skip


def test_a_typed_table_describes_what_it_has_of_the_log_alone() -> None:
    columns = by_name(column_schema(typed_table(TYPES, "Lent")))
    assert columns["position"].description == "Place in the log, from 1, dense."
    assert columns["days"].description is None
    assert not columns["position"].constraints.unique


def test_every_column_of_the_log_is_described() -> None:
    assert [column.name for column in log_schema().columns] == EVENTS.names
    assert all(column.description for column in log_schema().columns)

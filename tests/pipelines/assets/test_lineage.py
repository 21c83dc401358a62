from __future__ import annotations

import pyarrow as pa

from pipelines.assets.lineage import column_lineage
from projections import Projection, Sql, typed_table
from tests.pipelines.library import DAYS, ON_LOAN, READERS, TYPES


def told(projection: Projection) -> dict[str, list[str]]:
    lineage = column_lineage(projection)
    assert lineage is not None
    assert {dep.asset_key.to_user_string() for deps in lineage.deps_by_column.values() for dep in deps} == {"events"}
    return {name: sorted(dep.column_name for dep in deps) for name, deps in lineage.deps_by_column.items()}


def test_a_column_of_a_select_comes_from_what_the_select_reads_for_it() -> None:
    assert told(READERS) == {"reader": ["data"], "last_book": ["position", "stream_id"]}  # a number one comes from no column


def test_a_column_comes_from_the_conditions_too_and_through_other_names() -> None:
    chosen = Projection(
        name="chosen",
        version=1,
        key=("book",),
        columns=pa.schema({"book": pa.string(), "twice": pa.int64()}),
        form=Sql(
            "with lent as (from events where type = 'Lent') select stream_id as book, (data ->> 'days')::bigint as days, days * 2 as twice from lent",
            {"twice": "sum"},
        ),
    )
    assert told(chosen) == {"book": ["stream_id", "type"], "twice": ["data", "type"]}


def test_the_fields_of_a_typed_table_come_from_the_data_of_its_events() -> None:
    lineage = told(typed_table(TYPES, "Lent"))
    assert (lineage["days"], lineage["recorded_at"], lineage["piece"]) == (["data"], ["recorded_at"], ["position"])


def test_what_python_functions_read_is_not_guessed() -> None:
    assert column_lineage(ON_LOAN) is None
    assert column_lineage(DAYS) is None

from __future__ import annotations

from datetime import UTC, date, datetime
from decimal import Decimal

from pipelines.markdown import LONGEST, markdown_table, readable


def test_numbers_stand_at_the_right_and_everything_else_at_the_left() -> None:
    assert markdown_table([{"name": "Ada", "loans": 1234, "is_kept": True}]).splitlines() == [
        "| name | loans | is_kept |",
        "| --- | ---: | --- |",
        "| Ada | 1,234 | true |",
    ]


def test_values_are_as_people_read_them() -> None:
    at = datetime(2013, 1, 1, 10, 17, tzinfo=UTC)
    told = [readable(value) for value in (None, 0.5, 1234567.25, 1e-9, Decimal("1000.50"), at, at.replace(microsecond=1500), date(2013, 1, 1), ["a"])]
    assert told == ["", "0.5", "1,234,567.25", "1e-09", "1,000.50", "2013-01-01 10:17:00", "2013-01-01 10:17:00.0015", "2013-01-01", '["a"]']


def test_a_value_is_cut_where_it_is_long_and_is_never_taken_for_markdown() -> None:
    [*_, long, sharp] = markdown_table([{"text": "x" * 1000}, {"text": "a|b\n<b>*c*"}]).splitlines()
    assert len(long) == LONGEST + len("|  |")
    assert long.endswith("…" + " |")
    assert sharp == "| a\\|b \\<b>\\*c\\* |"


def test_a_table_without_rows_still_has_its_columns() -> None:
    assert markdown_table([], ["a", "b"]) == "| a | b |\n| --- | --- |"

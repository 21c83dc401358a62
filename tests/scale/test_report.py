"""The page says what the simulator says."""

from __future__ import annotations

import re

import pytest

from tests.bench.__main__ import SECTIONS
from tests.scale.__main__ import PAGE, filled
from tests.scale.costs import BY_HAND, UNITS, WRITERS, logs_needed
from tests.scale.report import tables


def test_the_tables_of_the_page_are_those_of_the_simulator() -> None:
    page, told = PAGE.read_text(), tables()
    assert set(re.findall("<!-- simulated: (\\w+) -->", page)) == set(told)
    assert filled(page, told) == page, "python -m tests.scale --write"


def test_a_table_takes_the_place_of_the_one_that_is_there() -> None:
    page = "a\n\n<!-- simulated: one -->\n\n| old |\n|---|\n\nb\n\n<!-- simulated: two -->\n\nold\n\nc\n"
    assert filled(page, {"one": "| new |", "two": "newer"}) == page.replace("| old |\n|---|", "| new |").replace("old\n\nc", "newer\n\nc")


def test_every_unit_cost_names_a_section_that_measures_it_or_says_that_none_does() -> None:
    assert {unit.section for unit in UNITS.values()} <= {*SECTIONS, BY_HAND}


@pytest.mark.parametrize(
    ("request_ms", "group", "cores", "needed"),
    [(50, 1_000, 0.0, 20), (50, 40_000, 0.0, 1), (1, 20_000, 0.0, 1), (1, 20_000, 1.6, 4)],
    ids=["by commits", "a group holds no more than a commit takes", "by the writer", "by upkeep"],
)
def test_logs_are_as_many_as_the_scarcest_thing_asks_for(request_ms: float, group: int, cores: float, needed: int) -> None:
    assert logs_needed(200_000, request_ms, group, WRITERS[2], cores) == needed

"""The reference knows of every public name, column and setting; the front page tells what was measured."""

from __future__ import annotations

import re
from dataclasses import MISSING, fields
from importlib import import_module
from typing import Any

import griffe
import pytest

import pipelines.metrics
import projections
import store
from pipelines.metrics import SAMPLES
from pipelines.settings import FLIGHTS, Settings
from projections import LETTERS, event_types, streams
from store import EVENTS, SNAPSHOTS, deeds
from store.erasing import erasure_deed
from store.retention import policy, retention
from tests.docs.pages import HOUSE

REFERENCE = HOUSE / "docs" / "reference"
NAMED = re.compile(r"^::: (store|projections|pipelines\.metrics)\.(?:\w+\.)?(\w+)$", re.MULTILINE)
"""(package, name), whether by the module that makes it or not."""


@pytest.mark.parametrize("package", [store, projections, pipelines.metrics], ids=lambda package: package.__name__)
def test_every_public_name_is_there_once(package: Any) -> None:
    named = [name for page in REFERENCE.glob("*.md") for name in NAMED.findall(page.read_text())]
    assert sorted(name for of, name in named if of == package.__name__) == sorted(package.__all__)


@pytest.mark.parametrize("package", ["store", "projections", "pipelines.metrics"])
def test_every_public_name_says_what_it_is(package: str) -> None:
    names = griffe.load(package, search_paths=[str(HOUSE)])
    exported = import_module(package).__all__
    assert [name for name in exported if not (names[name].final_target if names[name].is_alias else names[name]).docstring] == []


def test_no_name_is_taken_for_a_module() -> None:
    """A function that has the name of its module is named by both, or the module is shown."""
    houses = {package: griffe.load(package, search_paths=[str(HOUSE)]) for package in ("store", "projections", "pipelines")}
    shown = [name for page in REFERENCE.glob("*.md") for name in re.findall(r"^::: (\S+)$", page.read_text(), re.MULTILINE)]
    assert [name for name in shown if houses[name.split(".")[0]][name.partition(".")[2]].is_module] == []


def rows(page: str) -> list[list[str]]:
    """Of all tables of a page, without their heads."""
    text = (REFERENCE / page).read_text()
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in re.findall(r"^\| ?`.*\|$", text, re.MULTILINE)]


def test_every_deed_is_told_on_the_page_of_the_audit() -> None:
    """By the names under which the store's modules record them."""
    recorded = {deeds.KEY_DELETED, deeds.KEY_ROTATED, deeds.REPAIRED, deeds.RESTORED, deeds.SPLIT}
    recorded |= {erasure_deed.BEGAN, erasure_deed.ERASED, erasure_deed.REAPPLIED, retention.BEGAN, retention.REMOVED}
    recorded |= {f"Stream{hidden}" for hidden in (policy.TRUNCATED, policy.DELETED, policy.TOMBSTONED)}
    _, _, table = (HOUSE / "docs" / "audit.md").read_text().partition("| deed | what was done |\n")
    first_cells = [line.split("|")[1] for line in table.partition("\n\n")[0].splitlines()]
    assert set(re.findall(r"`(\w+)`", " ".join(first_cells))) == recorded


TABLES = {
    "Events": EVENTS,
    "Snapshots": SNAPSHOTS,
    "Streams": streams.columns,
    "Event types": event_types.columns,
    "Dead letters": LETTERS,
    "Metrics": SAMPLES,
}


@pytest.mark.parametrize("table", TABLES)
def test_the_columns_are_those_of_the_tables(table: str) -> None:
    [section] = re.findall(rf"^## {table}\n(.*?)(?:^## |\Z)", (REFERENCE / "columns.md").read_text(), re.MULTILINE | re.DOTALL)
    told = []
    for names, type, null in re.findall(r"^\| (`[^|]*) \|([^|]*)\| (yes|no) \|", section, re.MULTILINE):
        if " … " in names:
            told += [(field.name, str(field.type), True) for field in EVENTS]
        else:
            told += [(name, type.strip(), null == "yes") for name in re.findall(r"`(\w+)`", names)]
    as_told = {"list<element: string not null>": "list&lt;string&gt;"}
    assert [(name, as_told.get(type, type), null) for name, type, null in told] == [
        (field.name, as_told.get(str(field.type), str(field.type)), field.nullable) for field in TABLES[table]
    ]


def test_the_settings_are_those_that_are_read() -> None:
    told = {row[0].strip("`"): row[1].strip("`") for row in rows("settings.md")}
    defaults = {f"ALLUVIUM_{field.name.upper()}": field.default for field in fields(Settings)}
    del defaults["ALLUVIUM_REBUILD_ALL"]
    home = defaults.pop("ALLUVIUM_HOME")
    assert home is MISSING
    read = {name: "none" if default in (None, ()) else str(default) for name, default in defaults.items()}
    read |= {"ALLUVIUM_WAREHOUSE": "./warehouse", "ALLUVIUM_DOMAIN": FLIGHTS, "ALLUVIUM_REBUILD": "needed", "DAGSTER_HOME": "the working directory"}
    assert told == read


def test_defaults_are_what_is_read_of_nothing() -> None:
    assert Settings.read({}).warehouse.endswith("/warehouse")
    assert Settings.read({}).domain == FLIGHTS
    assert not Settings.read({}).rebuild_all


def test_the_numbers_of_the_front_page_were_measured() -> None:
    told = re.findall(r"^\| [a-z].* \| ([\d.,]+)[ a-z]* \|$", (HOUSE / "docs" / "index.md").read_text(), re.MULTILINE)
    measured = re.findall(r"[\d.,]*\d", (HOUSE / "docs" / "performance.md").read_text())
    assert len(told) == 7
    assert [number for number in told if number not in measured] == []

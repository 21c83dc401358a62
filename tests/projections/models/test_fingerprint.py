from __future__ import annotations

import importlib
import linecache
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from projections import fingerprint

PACKAGE = {
    "__init__.py": "",
    "limits.py": '''
MOST = 3
def least():
    """Says so."""
    return 1
''',
    "model.py": '''
from dataclasses import dataclass
from functools import partial
import msgspec
import pyarrow as pa
from farm.limits import MOST, least
from projections import Frame, Handlers, Projection, Sql, fingerprint, typed_table
from store import EventType, EventTypes, Upcast

SEEN = {"b": 1, "a": frozenset({"x", "y", "z"})}

class Told(msgspec.Struct):
    grams: int = 7

class Weighed(Told):
    pass

@dataclass
class Laid:
    """An egg."""
    eggs: int = 1

@dataclass
class Row:
    hen: str
    eggs: int = 0

def older(data):
    return {"eggs": data["n"]}

types = EventTypes(EventType("Laid", Laid, schema_version=2), EventType("Weighed", Weighed), steps=[Upcast("Laid", 1, older)])

def counted(row, event, place, *, each=2):
    # one more
    return Row(place.stream_id, min(MOST, (row.eggs if row else 0) + event.eggs * each + least() + SEEN["b"]))

def hen(event, place):
    return place.stream_id

columns = pa.schema({"hen": pa.string(), "eggs": pa.int64()})
by_hand = Projection(name="hens", version=1, key=("hen",), columns=columns, event_types=types, form=Handlers({Laid: counted}, key=hen, row=Row))
lines = Projection(name="hens", version=1, key=("hen",), columns=columns, form=Frame(
    touches=lambda events: events.select(hen="stream_id"), change=partial(lambda most, now, events: now.head(most), MOST)))
lifted = Projection(name="hens", version=1, key=("hen",), columns=columns, event_types=types, form=Sql(
    "select stream_id as hen, (data ->> 'eggs')::bigint as eggs from events", {"eggs": "sum"}))
sql = Projection(name="hens", version=1, key=("hen",), columns=columns, form=Sql(
    "select stream_id as hen, 1 as eggs from events where type = 'Laid  '", {"eggs": "sum"}))
typed = typed_table(types, "Weighed")
''',
}  # fmt: skip


def written(directory: Path, *changes: tuple[str, str]) -> None:
    """The package, with its text changed so."""
    package = directory / "farm"
    package.mkdir()
    for before, _ in changes:
        assert any(before in text for text in PACKAGE.values())
    for file, text in PACKAGE.items():
        for before, after in changes:
            text = text.replace(before, after)
        (package / file).write_text(text)


def printed(directory: Path, name: str, *changes: tuple[str, str]) -> str:
    """The fingerprint of a projection of the package."""
    written(directory, *changes)
    sys.path.insert(0, str(directory))
    try:
        return fingerprint(getattr(importlib.import_module("farm.model"), name))
    finally:
        sys.path.remove(str(directory))
        for module in [module for module in sys.modules if module.partition(".")[0] == "farm"]:
            del sys.modules[module]
        shutil.rmtree(directory / "farm")
        linecache.clearcache()


@pytest.mark.parametrize("name", ["by_hand", "lines", "lifted", "sql", "typed"])
def test_it_is_the_same_in_every_process(tmp_path: Path, name: str) -> None:
    here = printed(tmp_path, name)
    written(tmp_path)
    code = f"from farm import model; from projections import fingerprint; print(fingerprint(model.{name}))"
    environment = {"PYTHONPATH": f"{tmp_path}:{Path.cwd()}"}
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, env=environment).stdout.strip() == here
    assert len(here) == 16


@pytest.mark.parametrize(("name", "before", "after"), [
    ("by_hand", "    # one more\n", "    # another\n\n"),
    ("by_hand", '    """Says so."""\n', ""),
    ("by_hand", '    """An egg."""', '    """Some eggs."""'),
    ("by_hand", "min(MOST, ", "min(\n        MOST,\n        "),
    ("by_hand", "version=1, key", "version=2, key"),
    ("lines", 'select(hen="stream_id")', "select( hen='stream_id' )"),
    ("sql", "select stream_id", "select  -- the hen\\n  stream_id /* yes */"),
])  # fmt: skip
def test_the_look_of_the_source_does_not_matter(tmp_path: Path, name: str, before: str, after: str) -> None:
    assert printed(tmp_path, name) == printed(tmp_path, name, (before, after))


@pytest.mark.parametrize(("name", "before", "after"), [
    ("by_hand", "class Weighed(Told):", "class Weighed(Told, frozen=True):"),
    ("typed", "eggs: int = 1", "eggs: int = 2"),
    ("typed", 'data["n"]', 'data["m"]'),
])  # fmt: skip
def test_event_types_that_are_not_read_do_not_matter(tmp_path: Path, name: str, before: str, after: str) -> None:
    assert printed(tmp_path, name) == printed(tmp_path, name, (before, after))


@pytest.mark.parametrize(("name", "before", "after"), [
    ("by_hand", "event.eggs * each", "event.eggs + each"),
    ("by_hand", "each=2", "each=3"),
    ("by_hand", "MOST = 3", "MOST = 4"),
    ("by_hand", "return 1", "return 2"),
    ("by_hand", '"b": 1', '"b": 2'),
    ("by_hand", 'data["n"]', 'data["m"]'),
    ("lifted", 'data["n"]', 'data["m"]'),
    ("by_hand", "eggs: int = 1", "eggs: int = 2"),
    ("by_hand", "eggs: int = 0", "eggs: int = 5"),
    ("by_hand", "return place.stream_id", "return place.stream_id + 'x'"),
    ("lines", "now.head(most)", "now.tail(most)"),
    ("lines", "MOST = 3", "MOST = 4"),
    ("typed", "grams: int = 7", "grams: int = 8"),
    ("sql", "'Laid  '", "'Laid '"),
    ("sql", '"sum"', '"max"'),
    ("sql", '"eggs": pa.int64()', '"eggs": pa.int32()'),
])  # fmt: skip
def test_what_changes_rows_changes_it(tmp_path: Path, name: str, before: str, after: str) -> None:
    assert printed(tmp_path, name) != printed(tmp_path, name, (before, after))

"""The catalogue: printed, queried, kept in a file."""

from __future__ import annotations

import json
from dataclasses import dataclass
from io import StringIO
from pathlib import Path
from typing import Any

import duckdb
import msgspec
import pytest
from rich.console import Console

from store import Catalogue, EventType, EventTypes, EventTypesError, Rename, Upcast
from tests.store.event_types.flights import Booked, Departed, Everything, types


class DepartedV2(msgspec.Struct):
    flight: str
    at: str
    delay: int = 0


def same(data: Any) -> Any:
    return data


def renamed() -> EventTypes:
    steps = [Upcast("Departed", 1, same), Upcast("Departed", 2, same), Rename("Left", 1, to="Departed", to_version=2)]
    return EventTypes(EventType("Departed", Departed, schema_version=3, earlier={2: DepartedV2}), steps=steps)


def test_catalogue_tells_every_version_and_field() -> None:
    assert renamed().catalogue().table().to_pylist() == [
        {"type": name, "schema_version": version, "current": version == 3, "reads_as": reads_as, "field": field, "kind": kind, "required": required,
         "default": default}
        for name, version, reads_as, field, kind, required, default in [
            ("Departed", 1, "Departed 3", None, "not known", None, None),
            ("Departed", 2, "Departed 3", "flight", "string", True, None),
            ("Departed", 2, "Departed 3", "at", "string", True, None),
            ("Departed", 2, "Departed 3", "delay", "integer", False, "0"),
            ("Departed", 3, None, "flight", "string", True, None),
            ("Departed", 3, None, "at", "string (date-time)", True, None),
            ("Departed", 3, None, "delay_min", "integer", False, "0"),
            ("Left", 1, "Departed 3", None, "not known", None, None),
        ]
    ]  # fmt: skip


def test_catalogue_can_be_asked_in_sql() -> None:
    catalogue = types().catalogue().table()
    assert duckdb.sql("select distinct type from catalogue where current and kind like '%date-time%'").fetchall() == [("Departed",)]
    assert len(catalogue) == 15


def test_catalogue_says_each_kind_in_words() -> None:
    kinds = {row["field"]: row["kind"] for row in EventTypes(EventType("E", Everything)).catalogue().table().to_pylist()}
    assert kinds == {
        "text": "string", "whole": "integer", "real": "number", "yes": "boolean", "instant": "string (date-time)", "day": "string (date)",
        "money": "string (decimal)", "ident": "string (uuid)", "took": "string (duration)", "cabin": '"coach" | "first"', "raw": "string (base64)",
        "row": "{number: integer, letter?: string}", "maybe": "integer | null", "rows": "list of {number: integer, letter?: string}",
        "numbers": "map of integer", "either": "integer | string", "pair": "[integer, string]",
    }  # fmt: skip


@dataclass
class Limits:
    huge: int = 2**70
    last: float = float("inf")
    inner: Inner | None = None


@dataclass
class Inner:
    least: float = -float("inf")


def test_defaults_that_json_does_not_have_stand_by_their_names(tmp_path: Path) -> None:
    known = EventTypes(EventType("Limits", Limits)).catalogue()
    defaults = {row["field"]: row["default"] for row in known.table().to_pylist()}
    assert defaults == {"huge": str(2**70), "last": '"inf"', "inner": "null"}
    assert known.save(tmp_path / "types.json") == known == Catalogue.read(tmp_path / "types.json")


@dataclass
class Empty:
    pass


def test_catalogue_tells_no_fields_from_unknown_ones() -> None:
    (row,) = EventTypes(EventType("Empty", Empty)).catalogue().table().to_pylist()
    assert (row["field"], row["kind"]) == (None, "no fields")


def test_printed_is_plain_text_with_every_type_version_and_field() -> None:
    text = str(renamed())
    assert [line.split() for line in text.splitlines()] == [
        ["type", "version", "field", "kind", "default"],
        ["Departed", "1", "→", "Departed", "3", "–", "not", "known"],
        ["2", "→", "Departed", "3", "flight", "string", "required"],
        ["at", "string", "required"],
        ["delay", "integer", "0"],
        ["3", "flight", "string", "required"],
        ["at", "string", "(date-time)", "required"],
        ["delay_min", "integer", "0"],
        ["Left", "1", "→", "Departed", "3", "–", "not", "known"],
    ]
    assert "\x1b" not in text


def test_printed_keeps_brackets() -> None:
    """A kind such as [integer, string] is no style of rich's."""
    assert "[integer, string]" in str(EventTypes(EventType("E", Everything)))


def test_rich_prints_it_in_colour_on_a_terminal() -> None:
    console = Console(file=StringIO(), force_terminal=True, width=100)
    with console.capture() as printed:
        console.print(renamed().catalogue())
    assert "\x1b[1m" in printed.get()


def test_saved_is_read_back(tmp_path: Path) -> None:
    for known in (types(), renamed(), EventTypes(EventType("E", Everything))):
        path = tmp_path / f"{len(str(known))}.json"
        assert known.catalogue().save(path) == known.catalogue() == Catalogue.read(path)


def test_saved_again_is_the_same_file(tmp_path: Path) -> None:
    path = tmp_path / "types.json"
    types().catalogue().save(path)
    first = path.read_bytes()
    types().catalogue().save(path)
    assert path.read_bytes() == first
    assert [file.name for file in tmp_path.iterdir()] == ["types.json"]


def test_saved_does_not_depend_on_the_order_of_registration(tmp_path: Path) -> None:
    for name, order in (("a", (Departed, Booked)), ("b", (Booked, Departed))):
        EventTypes(*(EventType(cls.__name__, cls) for cls in order)).catalogue().save(tmp_path / name)
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


def test_saving_keeps_the_fields_of_versions_that_have_no_class_any_more(tmp_path: Path) -> None:
    path = tmp_path / "types.json"
    EventTypes(EventType("Departed", DepartedV2)).catalogue().save(path)
    raised = EventTypes(EventType("Departed", Departed, schema_version=2), steps=[Upcast("Departed", 1, same)])
    kept = raised.catalogue().save(path)
    first, second = kept
    assert [field.name for field in first.fields or ()] == ["flight", "at", "delay"]
    assert (first.current, first.reads_as) == (False, (("Departed", 2),))
    assert second.current
    assert Catalogue.read(path) == kept


def test_saving_keeps_types_that_the_code_forgot_as_not_read(tmp_path: Path) -> None:
    path = tmp_path / "types.json"
    EventTypes(EventType("Departed", Departed)).catalogue().save(path)
    kept = EventTypes(EventType("Booked", Booked)).catalogue().save(path)
    assert [(shape.type, shape.is_read) for shape in kept] == [("Booked", True), ("Departed", False)]
    assert "1 → not read" in str(kept)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "cannot be read .No such file.*: save one there first"),
        ("", "is no catalogue"),
        ("{}", "is no catalogue .*alluvium_event_types"),
        ('{"alluvium_event_types": 2, "shapes": []}', "has format 2, not 1"),
        (json.dumps({"alluvium_event_types": 1, "shapes": [{"type": "A", "schema_version": 1, "current": True}] * 2}), "holds 'A' 1 twice"),
    ],
)
def test_reading_refuses_what_is_no_catalogue(tmp_path: Path, content: str | None, message: str) -> None:
    path = tmp_path / "types.json"
    if content is not None:
        path.write_text(content)
    with pytest.raises(EventTypesError, match=message):
        Catalogue.read(path)


def test_saving_refuses_to_overwrite_what_is_no_catalogue(tmp_path: Path) -> None:
    path = tmp_path / "precious.json"
    path.write_text("{}")
    with pytest.raises(EventTypesError, match="is no catalogue"):
        types().catalogue().save(path)
    assert path.read_text() == "{}"


def test_saving_needs_a_directory(tmp_path: Path) -> None:
    with pytest.raises(EventTypesError, match=r"cannot be written .* make its directory"):
        types().catalogue().save(tmp_path / "nowhere" / "types.json")

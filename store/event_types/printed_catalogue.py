"""A catalogue for people: a table for the terminal, or as plain text."""

from __future__ import annotations

from collections.abc import Iterable
from io import StringIO
from typing import Any, Final

from rich.console import Console
from rich.table import Table
from rich.text import Text

from store.event_types.catalogue import rows_of
from store.event_types.shape import Shape

_WIDTH: Final = 140


def plain(shapes: Iterable[Shape]) -> str:
    """Without colours, of one width wherever it is printed; a notebook would be shown an empty page beside it, but for `force_jupyter`."""
    console = Console(file=StringIO(), width=_WIDTH, color_system=None, force_terminal=False, force_jupyter=False)
    with console.capture() as text:
        console.print(printed(shapes))
    return "\n".join(line.rstrip() for line in text.get().splitlines())


def printed(shapes: Iterable[Shape]) -> Table:
    table = Table(box=None, pad_edge=False, header_style="bold")
    for heading in ("type", "version", "field", "kind", "default"):
        table.add_column(heading, overflow="fold")
    last = None
    for shape in shapes:
        name = "" if shape.type == last else shape.type
        version = f"{shape.schema_version}" if shape.current else f"{shape.schema_version} → {shape.told_reads_as or 'not read'}"
        last = shape.type
        for number, row in enumerate(rows_of(shape)):
            first = ("", "") if number else (name, version)
            # As Text: a kind such as [integer, string] would be taken for a style.
            table.add_row(*map(Text, (*first, row.get("field") or "–", row["kind"], _told_default(row))))
    return table


def _told_default(row: dict[str, Any]) -> str:
    match row.get("required"):
        case None:
            return ""
        case True:
            return "required"
        case _:
            return row["default"] or "made anew"

"""What a value shows of itself: a table of bounded size, as HTML in a notebook and as plain text in a terminal."""

from __future__ import annotations

import reprlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from html import escape
from io import StringIO
from typing import Any, Final, Literal, NamedTuple

ENDS: Final = 10
"""Rows that a long table shows of its beginning, and of its end."""
LONGEST: Final = 120
"""Characters of a cell; what is longer is cut."""
_WIDTH: Final = 140
_LONG: Final = 40
"""Characters from which on a cell may be broken into lines."""

Mark = Literal["", "changed", "good", "waits", "wrong", "added", "removed"]
"""What a cell stands out for. Said by signs and shades that suit dark pages and light ones, never by colour alone."""


class Cell(NamedTuple):
    """`share`: from 0 to 1, drawn as a bar behind the text."""

    text: str
    mark: Mark = ""
    share: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Display:
    """`rows` have a cell for each of `columns`; those of `numbers` are set to the right. `left_out`: rows between the first ENDS and the others.

    Whatever the cells hold is shown as signs: markup is escaped, and what cannot be printed is replaced.
    """

    title: str
    columns: Sequence[str]
    rows: Sequence[Sequence[Cell]]
    left_out: int = 0
    numbers: Sequence[str] = ()
    notes: Sequence[str] = ()

    def html(self) -> str:
        head = "".join(f"<th{self._side(name)}>{_escaped(name)}</th>" for name in self.columns)
        body = [f"<tr>{''.join(map(self._cell, self.columns, row))}</tr>" for row in self.rows]
        if self.left_out:
            body.insert(ENDS, f'<tr><td class="quiet" colspan="{len(self.columns)}">{self._more()}</td></tr>')
        table = f"<table><thead><tr>{head}</tr></thead><tbody>{''.join(body)}</tbody></table>" if self.rows else ""
        notes = "".join(f'<p class="quiet">{_escaped(note)}</p>' for note in self.notes)
        return f'<div class="alluvium"><style>{_STYLE}</style><p class="title">{_escaped(self.title)}</p>{table}{notes}</div>'

    def text(self) -> str:
        from rich.console import Console  # rich is loaded by those who print
        from rich.table import Table
        from rich.text import Text

        table = Table(box=None, pad_edge=False)
        for name in self.columns:
            table.add_column(Text(printable(name)), justify="right" if name in self.numbers else "left", no_wrap=name != self.columns[-1])
        lines = [[_SIGNS[cell.mark] + printable(_cut(cell.text)) for cell in row] for row in self.rows]
        if self.left_out:
            lines.insert(ENDS, [self._more(), *[""] * (len(self.columns) - 1)])
        for line in lines:
            table.add_row(*(Text(text, no_wrap=True, overflow="ellipsis") for text in line))      # as Text: what looks like a style is none
        # In a notebook rich would show an empty page beside this, but for `force_jupyter`.
        console = Console(file=StringIO(), width=_WIDTH, color_system=None, force_terminal=False, force_jupyter=False)
        with console.capture() as printed:
            console.print(table)
        told = [line.rstrip() for line in printed.get().splitlines()] if self.rows else []
        return "\n".join([printable(self.title), *told, *map(printable, self.notes)])

    def _cell(self, name: str, cell: Cell) -> str:
        side = self._side(name, cell.mark, len(cell.text) > _LONG)
        bar = "" if cell.share is None else f' style="background:linear-gradient(90deg,rgba(127,127,127,.3) {cell.share:.1%},transparent 0)"'
        return f"<td{side}{bar}>{_escaped(_cut(cell.text))}</td>"

    def _side(self, name: str, mark: Mark = "", is_long: bool = False) -> str:
        classes = " ".join(["number"] * (name in self.numbers) + [mark] * bool(mark) + ["long"] * is_long)
        return f' class="{classes}"' if classes else ""

    def _more(self) -> str:
        return f"… {self.left_out:,} more"


def ends(count: int) -> tuple[list[int], int]:
    """Which rows of so many are shown, and how many are left out between them."""
    if count <= 2 * ENDS + 1:                      # a line that says "1 more" takes no less room than the row itself
        return list(range(count)), 0
    return [*range(ENDS), *range(count - ENDS, count)], count - 2 * ENDS


def brief(value: Any) -> str:
    """A value in few words: times in UTC to the second, nothing as –, collections by their first items."""
    return _cut(" ".join(_worded(value).split()))


def _worded(value: Any) -> str:
    match value:
        case None:
            return "–"
        case str():
            return value[: 2 * LONGEST]
        case datetime():
            return f"{value.astimezone(UTC) if value.tzinfo else value:%Y-%m-%d %H:%M:%S}"
        case Mapping():
            return ", ".join(f"{key}: {brief(one)}" for key, one in list(value.items())[:LONGEST])
        case list() | tuple() | set() | frozenset():
            items = reprlib.Repr()                 # not repr: there may be a million
            items.maxlist = items.maxtuple = items.maxset = items.maxfrozenset = items.maxdict = items.maxstring = items.maxother = LONGEST
            return items.repr(value)
    return str(value)


def _cut(text: str) -> str:
    return text if len(text) <= LONGEST else f"{text[: LONGEST - 1]}…"


def printable(text: str) -> str:
    """Nothing that would move a terminal's cursor, or turn the direction of what follows."""
    return text if text.isprintable() else "".join(sign if sign.isprintable() else "�" for sign in text)


def _escaped(text: str) -> str:
    return escape(printable(text))


_SIGNS: Final[Mapping[Mark, str]] = {"": "", "changed": "*", "good": "✓ ", "waits": "… ", "wrong": "✗ ", "added": "", "removed": ""}

# Grey and tints of half a shade, over whatever page there is; the text keeps the page's own colour.
_STYLE: Final = " ".join(
    f".alluvium.alluvium {rule}"
    for rule in (
        "{overflow-x:auto;font-size:13px;line-height:1.45}",
        "p{margin:.2em 0}",
        ".title{font-weight:600}",
        ".quiet,.alluvium.alluvium th{opacity:.65;font-weight:400}",
        "table{border-collapse:collapse;border:0;margin:.3em 0;font-size:inherit}",
        "th,.alluvium.alluvium td{text-align:left;vertical-align:top;white-space:nowrap;max-width:none;padding:.15em .8em;border:0}",
        "th{border-bottom:1px solid rgba(127,127,127,.5)}",
        ".long{white-space:normal;min-width:28em}",
        ".number{text-align:right;font-variant-numeric:tabular-nums}",
        ".changed{background:rgba(230,159,0,.25);font-weight:600}",
        ".added{background:rgba(0,158,115,.22)}",
        ".removed{background:rgba(213,94,0,.22)}",
        ".good::before{content:'✓ '}",
        ".waits::before{content:'… '}",
        ".wrong::before{content:'✗ '}",
        ".wrong{background:rgba(213,94,0,.22);font-weight:600}",
    )
)

"""What a command answers: tables and sentences for people, JSON for programs, always on stdout; what is beside the answer goes to stderr."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from itertools import islice
from typing import Any, Final

import orjson
from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from store import printable

PIPED_WIDTH: Final = 200
"""Characters of a line where nobody told how wide a line may be."""
_JSON_TEXT: Final = ("data", "metadata", "state")
"""Columns that may hold JSON text, which becomes part of the answer's own JSON."""

Row = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Answer:
    """`json`: for programs."""

    json: bool

    def facts(self, title: str, facts: Row) -> None:
        """One thing, by name: a list for people, an object for programs."""
        if self.json:
            print(_json(facts), flush=True)
            return
        table = Table(show_header=False, box=None, padding=(0, 2, 0, 0))
        table.add_column(style="dim")
        table.add_column(overflow="fold")
        for name, value in facts.items():
            table.add_row(name.replace("_", " "), _cell(value))
        _print(title, table)

    def rows(self, title: str, rows: Iterable[Row], names: Sequence[str] = (), *, limit: int | None = None, more: str = "--json shows all") -> int:
        """Many things of one kind, how many: a table for people, of `limit` rows at most; a line each for programs.

        `names`: of the columns, in their order, where there may be no row that tells them.
        """
        if self.json:
            count = 0
            for row in rows:
                print(_json(row), flush=True)
                count += 1
            return count
        coming = iter(rows)
        shown = list(islice(coming, limit))
        left = sum(1 for _ in coming)
        if not shown:
            self.note(f"{title}: none" if title else "nothing")
            return 0
        _print(title, table(shown, names))
        if left:
            self.note(f"… and {left:,} more; {more}")
        return len(shown) + left

    def say(self, sentence: str) -> None:
        """For people alone: programs have the facts."""
        if not self.json:
            out().print(Text(sentence), soft_wrap=True)

    def note(self, sentence: str) -> None:
        """Beside the answer."""
        aside().print(Text(sentence, style="dim"), soft_wrap=True)


def out() -> Console:
    """Made anew each time, because stdout may be another one by then."""
    return _console(sys.stdout.isatty(), stderr=False)


def aside() -> Console:
    return _console(sys.stderr.isatty(), stderr=True)


def _console(is_terminal: bool, stderr: bool) -> Console:
    return Console(stderr=stderr, highlight=False, markup=False, emoji=False, width=None if is_terminal else PIPED_WIDTH)


def _print(title: str, drawn: Table) -> None:
    """A title by itself: in the table it would be broken to the table's width."""
    console = out()
    if title:
        console.print(Text(title, style="bold"), soft_wrap=True)
    console.print(drawn)


def table(rows: Sequence[Row], names: Sequence[str] = ()) -> Table:
    """Numbers to the right; the first column, which names things, is never broken. A column without a single value is left out."""
    columns = [name for name in names or dict.fromkeys(name for row in rows for name in row) if any(row.get(name) is not None for row in rows)]
    made = Table(header_style="dim", box=box.SIMPLE_HEAD)
    for name in columns:
        numbers = all(isinstance(row.get(name), int | float | Decimal | None) and not isinstance(row.get(name), bool) for row in rows)
        made.add_column(name.replace("_", " "), justify="right" if numbers else "left", overflow="fold", no_wrap=name == columns[0])
    for row in rows:
        made.add_row(*(_cell(row.get(name)) for name in columns))
    return made


def _cell(value: Any) -> Text:
    return value if isinstance(value, Text) else Text(shown(value))


def shown(value: Any) -> str:
    """A value as people read it. Times in UTC."""
    match value:
        case None:
            return ""
        case bool():
            return "yes" if value else "no"
        case int():
            return f"{value:,}"
        case float():
            return f"{value:,.4g}" if abs(value) < 1000 else f"{value:,.0f}"
        case datetime():
            at = value.astimezone(UTC) if value.tzinfo else value
            return f"{at:%Y-%m-%d %H:%M:%S}" + (f".{at.microsecond // 1000:03}" if at.microsecond else "")
        case str():
            return value if value.isprintable() else "\n".join(map(printable, value.splitlines()))
        case list() | tuple():
            return ", ".join(map(shown, value))
        case dict():
            return orjson.dumps(value, default=str, option=orjson.OPT_NON_STR_KEYS).decode()
    return str(value)


def _json(row: Row) -> str:
    put = {name: orjson.Fragment(value) if name in _JSON_TEXT and _is_json(value) else value for name, value in row.items()}
    return orjson.dumps(put, default=_plain, option=orjson.OPT_NON_STR_KEYS | orjson.OPT_UTC_Z).decode()


def _is_json(value: Any) -> bool:
    if not isinstance(value, str):
        return False
    try:
        orjson.loads(value)
    except orjson.JSONDecodeError:
        return False
    return True


def _plain(value: Any) -> Any:
    """What JSON has no form for."""
    match value:
        case Text():
            return value.plain
        case Decimal():
            return str(value)
        case bytes():
            return value.hex()
        case _ if hasattr(value, "_asdict"):
            return value._asdict()
    return str(value)

"""A few rows as Dagster's UI shows them to people."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from datetime import date, datetime
from decimal import Decimal
from typing import Any, Final

import orjson

LONGEST: Final = 120
"""Characters of one value; what is longer is cut."""
_SIGNS: Final = re.compile(r"([\\|<*`\[~])")


def markdown_table(rows: Sequence[Mapping[str, Any]], names: Iterable[str] = ()) -> str:
    """A table with a line a row. `names`: of its columns, in order; those of the first row, if none are given."""
    columns = list(names) or list(rows[0] if rows else ())
    marks = ["---:" if _is_number(row.get(name) for row in rows) else "---" for name in columns]
    lines = [[_escaped(name) for name in columns], marks, *([_cell(row.get(name)) for name in columns] for row in rows)]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def readable(value: Any) -> str:
    """One value as text: thousands set apart, times in UTC to the second, lists and structs as JSON."""
    match value:
        case None:
            return ""
        case bool():
            return str(value).lower()
        case int():
            return f"{value:,}"
        case float():
            return f"{value:,.4f}".rstrip("0").rstrip(".") if 1e-3 <= abs(value) < 1e15 else f"{value:g}"
        case Decimal():
            return f"{value:,f}"
        case datetime():
            return f"{value:%Y-%m-%d %H:%M:%S}{f'.{value.microsecond:06}'.rstrip('0') if value.microsecond else ''}"
        case date():
            return value.isoformat()
        case list() | dict():
            return orjson.dumps(value, default=str).decode()
    return str(value)


def _cell(value: Any) -> str:
    text = readable(value)
    return _escaped(f"{text[: LONGEST - 1]}…" if len(text) > LONGEST else text)


def _escaped(text: str) -> str:
    """Its signs as signs, not as what Markdown makes of them."""
    return _SIGNS.sub(r"\\\1", " ".join(text.split()))


def _is_number(values: Iterable[Any]) -> bool:
    there = [value for value in values if value is not None]
    return bool(there) and all(isinstance(value, int | float | Decimal) and not isinstance(value, bool) for value in there)

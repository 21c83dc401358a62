"""What DuckDB and Sail call the same type, and how a value of it is written for Sail."""

from __future__ import annotations

import re
from typing import Final

INTEGERS: Final = {"TINYINT": 7, "SMALLINT": 15, "INTEGER": 31, "BIGINT": 63}
"""DuckDB's, with how many bits they have beside the sign. On Sail all are of 63."""
TIMES: Final = ("TIMESTAMP", "TIMESTAMP WITH TIME ZONE")
NULL: Final = '"NULL"'
_NAMES: Final = {"BOOLEAN": "boolean", "VARCHAR": "string", "DATE": "date", "DOUBLE": "double"}
_DECIMAL: Final = re.compile(r"DECIMAL\((\d+),(\d+)\)")


def sail_type(kind: str) -> str | None:
    """What holds DuckDB's type on Sail; None: nothing is known to. A time without a zone is the instant at which UTC reads it."""
    if kind in INTEGERS:
        return "bigint"
    if kind in TIMES:
        return "timestamp"
    return kind.lower() if _DECIMAL.fullmatch(kind) else _NAMES.get(kind)


def digits(kind: str) -> tuple[int, int] | None:
    """Of a decimal, before and behind its point; None: it is no decimal."""
    if (found := _DECIMAL.fullmatch(kind)) is None:
        return None
    width, scale = int(found[1]), int(found[2])
    return width - scale, scale


def literal(kind: str, value: str | None) -> str:
    """`value`: as DuckDB casts it to text. What has no short form is cast from text, which Sail does before it begins."""
    if value is None:
        return f"cast(null as {sail_type(kind) or 'string'})"
    if kind == "VARCHAR":
        return quoted(value)
    return f"cast({quoted(value.removesuffix('+00'))} as {sail_type(kind)})"


def quoted(text: str) -> str:
    return "'" + text.replace("\\", "\\\\").replace("'", "\\'") + "'"

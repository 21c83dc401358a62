"""What a query asks of granted rows, as conditions that choose files before any is opened: never more than it asks, often less."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final

import pyarrow as pa

from store.grants.granted_sql import identifier
from store.parquet_sql import quoted
from store.shard import shards_of

LONGEST: Final = 4_096
"""Characters of a filter that is looked at: no query shall keep us busy with its text."""
_LEAF: Final = re.compile(r'\((\w+) (==|<=|>=|<|>) (?:"([^"\\]*)"|(-?[0-9]+))\)')
_OPERATORS: Final = {"==": "=", "<=": "<=", ">=": ">=", "<": "<", ">": ">"}
_TEXTS: Final = re.compile(r'"(?:[^"\\]|\\.)*"')


def narrowed(filter: object, schema: pa.Schema, is_log: bool) -> str:
    """Conditions that hold for all rows for which `filter`, an expression of Arrow, holds.

    Of a filter that is a comparison of a column with a text or a number, or several joined by `and`. Arrow says it as text, texts in it in quotes
    and with escapes; sets are written without, so a filter with one is left alone. What is passed by here the filter itself does.
    """
    said = "" if filter is None else str(filter)
    if "value_set" in said or len(said) > LONGEST:
        return "true"
    found = [condition for leaf in _joined(said) for condition in _conditions(leaf, schema, is_log)]
    return " and ".join(["true", *found])


def named_in(filter: object, schema: pa.Schema) -> set[str]:
    """The columns that the filter reads, and perhaps some that it only mentions."""
    said = "" if filter is None else str(filter)
    return {name for name in schema.names if name in said}


def _joined(said: str) -> list[str]:
    """The parts of a conjunction."""
    if _LEAF.fullmatch(said):
        return [said]
    blank = _TEXTS.sub(lambda text: "_" * len(text[0]), said)
    if not (blank.startswith("(") and blank.endswith(")")):
        return []
    depth = 0
    for at, sign in enumerate(blank):
        depth += (sign == "(") - (sign == ")")
        if depth == 1 and blank.startswith(" and ", at):
            return [*_joined(said[1:at]), *_joined(said[at + 5 : -1])]
        if depth == 0 and at < len(blank) - 1:
            return []
    return []


def _conditions(leaf: str, schema: pa.Schema, is_log: bool) -> Sequence[str]:
    match = _LEAF.fullmatch(leaf)
    if match is None or (name := match[1]) not in schema.names:
        return []
    operator, text, number = _OPERATORS[match[2]], match[3], match[4]
    if text is not None:
        if not pa.types.is_string(schema.field(name).type):
            return []
        there = [f"{identifier(name)} {operator} {quoted(text)}"]
        if is_log and name == "stream_id" and operator == "=":
            there.append(f"_shard in ({', '.join(map(quoted, sorted(shards_of(text))))})")
        return there
    if not pa.types.is_integer(schema.field(name).type):
        return []
    there = [f"{identifier(name)} {operator} {number}"]
    if is_log and name == "position":              # between the first and the last that a file holds, as its name tells
        there += [f"_last {operator} {number}"] if operator in (">", ">=") else [f"_first {operator} {number}"] if operator != "=" else [
            f"_first <= {number}", f"_last >= {number}",
        ]
    return there

"""Casts that give what DuckDB's give, or tell of a value that nobody has proven them the same for."""

from __future__ import annotations

from typing import Final

from projections.sail.literals import INTEGERS, TIMES, digits, quoted, sail_type

DOUBT: Final = "not proven the same on Sail"
"""What the query fails with when it meets such a value: the whole fill is DuckDB's then."""

# Digits that always fit: what is written otherwise (1e3, 1.0, _) DuckDB reads in its own way.
_DIGITS: Final = {"TINYINT": 2, "SMALLINT": 4, "INTEGER": 9, "BIGINT": 18}
_DATE: Final = "[0-9]{4}-[0-9]{2}-[0-9]{2}"
_TIME: Final = "[0-9]{2}:[0-9]{2}:[0-9]{2}([.][0-9]{1,6})?"
_ZONE: Final = "(Z|[+]00:00)"
_DOUBLE: Final = "-?(0|[1-9][0-9]{0,14})([.][0-9]{1,14})?([eE][+-]?[0-9]{1,2})?"
# A number or a list or an object out of JSON: DuckDB writes it anew, Sail gives it as it stands. Plain integers are the same in both.
REWRITTEN: Final = r"^([{\[].*|-0|-?(0|[1-9][0-9]*)([.][0-9]+([eE][+-]?[0-9]+)?|[eE][+-]?[0-9]+))$"


def doubted(value: str, why: str) -> str:
    """An expression of any type that fails, and tells the value."""
    return f"raise_error(concat({quoted(f'{DOUBT}: {why} of ')}, substring(cast({value} as string), 1, 100)))"


def or_doubted(parsed: str, value: str, why: str) -> str:
    """`parsed`: null where `value` is null, and where nothing is proven for it."""
    return f"coalesce({parsed}, case when {value} is not null then {doubted(value, why)} end)"


def parsed(text: str, to: str) -> str | None:
    """What the text says, where that is proven, else null. None: nothing is proven for that type."""
    if to == "VARCHAR":
        return text
    if to == "BOOLEAN":
        return f"case {text} when 'true' then true when 'false' then false end"
    if (pattern := _pattern(to)) is None:
        return None
    negative_zero = f" and not ({text} rlike '^-[0.]+([eE].*)?$')" if to == "DOUBLE" else ""      # of it and 0 either may be the greater one
    return f"case when {text} rlike {quoted(f'^{pattern}$')}{negative_zero} then try_cast({text} as {sail_type(to)}) end"


def cast(value: str, kind: str, to: str) -> str | None:
    """Of what is not text. None: it is not proven."""
    if kind == to or (kind in TIMES and to in TIMES):
        return value
    if kind in INTEGERS and to in INTEGERS:
        return value if INTEGERS[kind] <= INTEGERS[to] else in_range(value, to)
    if kind in INTEGERS and (parts := digits(to)) is not None:
        largest = 10 ** min(parts[0], 19) - 1
        fits = f"case when {value} between {-largest}L and {largest}L then {value} else {doubted(value, f'the {to}')} end"
        return f"cast({value if parts[0] >= 19 else fits} as {sail_type(to)})"
    if (given := digits(kind)) is not None and (taken := digits(to)) is not None:
        return f"cast({value} as {sail_type(to)})" if taken[0] >= given[0] and taken[1] >= given[1] else None
    match kind, to:
        case '"NULL"', _ if sail_type(to) is not None:
            return f"cast({value} as {sail_type(to)})"
        case "BOOLEAN", _ if to in INTEGERS:
            return f"cast({value} as bigint)"
        case ("BOOLEAN" | "TINYINT" | "SMALLINT" | "INTEGER" | "BIGINT"), "VARCHAR":
            return f"cast({value} as string)"
        case ("TIMESTAMP" | "TIMESTAMP WITH TIME ZONE"), "DATE":
            return f"cast({value} as date)"
        case "DATE", ("TIMESTAMP" | "TIMESTAMP WITH TIME ZONE"):
            return f"cast({value} as timestamp)"
    return None


def in_range(value: str, to: str) -> str:
    """An integer that DuckDB holds in fewer bits, and would refuse."""
    bound = 1 << INTEGERS[to]
    return f"case when {value} not between {-bound}L and {bound - 1}L then {doubted(value, f'the {to}')} else {value} end"


def _pattern(to: str) -> str | None:
    if to in _DIGITS:
        return f"-?[0-9]{{1,{_DIGITS[to]}}}"
    if (parts := digits(to)) is not None:
        before, behind = parts
        fraction = f"([.][0-9]{{1,{behind}}})?" if behind else ""
        return f"-?[0-9]{{1,{before}}}{fraction}" if before else None
    return {"DOUBLE": _DOUBLE, "DATE": _DATE, "TIMESTAMP": f"{_DATE}[T ]{_TIME}", "TIMESTAMP WITH TIME ZONE": f"{_DATE}[T ]{_TIME}{_ZONE}"}.get(to)

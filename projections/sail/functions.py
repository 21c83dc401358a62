"""Functions of DuckDB's that Sail has, too, each said so that it gives the same, or fails with DOUBT."""

from __future__ import annotations

import zoneinfo
from collections.abc import Callable, Mapping
from typing import Final, NamedTuple

from projections.sail.casts import doubted, in_range, or_doubted
from projections.sail.literals import INTEGERS, TIMES, quoted


class Call(NamedTuple):
    """`to`: DuckDB's type of what it gives; of its arguments `kinds` are the types, `said` what they are on Sail, `fixed` the values, where no event
    changes them."""

    name: str
    to: str
    kinds: tuple[str, ...]
    said: tuple[str, ...]
    fixed: tuple[str | None, ...]

    def number(self, place: int) -> int:
        """The value of an argument that is an integer; else -1, which none of these takes."""
        value = self.fixed[place] if self.kinds[place] in INTEGERS else None
        return -1 if value is None else int(value)


_UNITS: Final = ("minute", "hour", "day", "week", "month", "quarter", "year")
# Where the rules of zones are compared, see `zones`.
_ZONED: Final = ("1970-01-01 00:00:00", "2038-01-01 00:00:00")
# Sail counts nanoseconds in these, of which there is an end in 1677 and in 2262.
_TRUNCATED: Final = ("1700-01-01 00:00:00", "2262-01-01 00:00:00")


def _arithmetic(on_sail: str) -> Callable[[Call], str | None]:
    """Sail's own goes round at 64 bits."""

    def said(call: Call) -> str | None:
        if len(call.said) > 2 or call.to not in INTEGERS or any(kind not in INTEGERS for kind in call.kinds):
            return None
        left, right = ("0L", call.said[0]) if len(call.said) == 1 else call.said
        there = f"{left} is not null and {right} is not null"
        whole = f"coalesce({on_sail}({left}, {right}), case when {there} then {doubted(left, f'{call.name} on the BIGINT')} end)"
        return whole if call.to == "BIGINT" else in_range(whole, call.to)

    return said


def _size(on_sail: str) -> Callable[[Call], str | None]:
    return lambda call: f"cast({on_sail}({call.said[0]}) as bigint)" if call.kinds == ("VARCHAR",) else None


def _of_texts(on_sail: str) -> Callable[[Call], str | None]:
    return lambda call: f"{on_sail}({', '.join(call.said)})" if call.kinds == ("VARCHAR", "VARCHAR") else None


def _split_part(call: Call) -> str | None:
    if call.kinds[:2] != ("VARCHAR", "VARCHAR") or len(call.kinds) != 3 or not call.fixed[1] or call.number(2) < 1:
        return None
    return f"split_part({call.said[0]}, {quoted(call.fixed[1])}, {call.number(2)})"


def _substring(call: Call) -> str | None:
    if call.kinds[0] != "VARCHAR" or len(call.kinds) not in (2, 3) or call.number(1) < 1 or call.number(len(call.kinds) - 1) < 0:
        return None
    return f"substring({call.said[0]}, {', '.join(str(call.number(place)) for place in range(1, len(call.kinds)))})"


def _part(call: Call) -> str | None:
    if len(call.kinds) != 1 or call.kinds[0] not in ("DATE", *TIMES):
        return None
    return f"cast({call.name}({call.said[0]}) as bigint)"


def _date_trunc(call: Call) -> str | None:
    unit = (call.fixed[0] or "").lower()
    if len(call.kinds) != 2 or unit not in _UNITS or call.kinds[1] not in TIMES:
        return None
    return or_doubted(f"date_trunc('{unit}', {_between(call.said[1], _TRUNCATED)})", call.said[1], f"{unit} of the time")


def _timezone(call: Call) -> str | None:
    if len(call.kinds) != 2 or call.kinds[1] != TIMES[1] or (zone := call.fixed[0]) not in zoneinfo.available_timezones():
        return None
    return or_doubted(f"from_utc_timestamp({_between(call.said[1], _ZONED)}, '{zone}')", call.said[1], f"{zone} the time")


def _between(instant: str, bounds: tuple[str, str]) -> str:
    """Null outside."""
    first, last = (f"cast('{bound}' as timestamp)" for bound in bounds)
    return f"case when {instant} >= {first} and {instant} < {last} then {instant} end"


FUNCTIONS: Final[Mapping[str, Callable[[Call], str | None]]] = {
    "+": _arithmetic("try_add"),
    "-": _arithmetic("try_subtract"),
    "*": _arithmetic("try_multiply"),
    "length": _size("char_length"),
    "strlen": _size("octet_length"),
    "||": _of_texts("concat"),
    "starts_with": _of_texts("startswith"),
    "prefix": _of_texts("startswith"),
    "ends_with": _of_texts("endswith"),
    "suffix": _of_texts("endswith"),
    "contains": _of_texts("contains"),
    "split_part": _split_part,
    "substring": _substring,
    "substr": _substring,
    **dict.fromkeys(("year", "month", "day", "hour", "minute"), _part),
    "date_trunc": _date_trunc,
    "timezone": _timezone,
}
"""By DuckDB's names; of None nothing is proven."""

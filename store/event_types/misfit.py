"""Where in an event's data a value does not fit its class: told from the error of msgspec or Pydantic."""

from __future__ import annotations

import re
from typing import Any, Final, NamedTuple

import orjson

_PATH: Final = re.compile(r"(.*) - at (?:`key` in )?`\$(.*)`", re.DOTALL).fullmatch
_STEPS: Final = re.compile(r"\.([^.\[]+)|\[(\d+)\]")
_OF_A_MAP: Final = "[...]"
"""How msgspec names a value of a map: by no key, so the map is as near as one can tell."""


class Misfit(NamedTuple):
    """`field`: such as `data.seats.0.row`, or `data`. `value`: what stands there, or all the data if that is not known."""

    field: str
    value: Any
    reason: str


def misfit(error: Exception, text: str | bytes) -> Misfit:
    """What the class said of this data."""
    data = orjson.loads(text)
    if type(error).__module__.startswith("pydantic_core") and hasattr(error, "errors"):       # the first of all faults that it found
        fault = error.errors()[0]
        return _at(data, tuple(fault["loc"]), fault["msg"])
    said = str(error) or type(error).__name__
    if (found := _PATH(said)) is None:
        return Misfit("data", data, said)
    path = found[2].partition(_OF_A_MAP)[0]
    return _at(data, tuple(name or int(number) for name, number in _STEPS.findall(path)), found[1])


def _at(data: Any, path: tuple[str | int, ...], reason: str) -> Misfit:
    field, value = "data", data
    for step in path:
        try:
            value = value[step]
        except (LookupError, TypeError):           # it is missing, or the path tells of an alternative of the class
            return Misfit(".".join(("data", *map(str, path))), data, reason)
        field = f"{field}.{step}"
    return Misfit(field, value, reason)

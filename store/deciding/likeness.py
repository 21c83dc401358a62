"""Whether two states are one: equal, and of the same types all the way down, for code may look at either."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import fields, is_dataclass
from datetime import datetime
from functools import lru_cache
from typing import Any, Final

_NUMBERS: Final = frozenset({int, float})


def alike(one: Any, other: Any) -> bool:
    """`==` alone takes a dict for an equal `Counter`, text for an equal `StrEnum`. A whole number may stand for a float: type checkers let it."""
    return bool(one == other) and _typed(one) == _typed(other)


def _typed(value: Any) -> tuple[Any, Any]:
    """The type and what is inside, as far as it is known to hold anything. Of what can be the key of a dict, this can be too."""
    kind: Any = type(value)
    inside = value
    if kind in _NUMBERS:
        return _NUMBERS, value
    if isinstance(value, dict):
        inside = {_typed(key): _typed(item) for key, item in value.items()}
    elif isinstance(value, set | frozenset):
        inside = frozenset(map(_typed, value))
    elif isinstance(value, list | tuple):
        inside = tuple(map(_typed, value))
    elif isinstance(value, datetime):              # classes of time zones differ by library; a named zone knows more than its offset
        inside = value, value.utcoffset(), getattr(value.tzinfo, "key", None)
    elif names := field_names(kind):
        inside = tuple(_typed(getattr(value, name, None)) for name in names)
    return kind, inside


@lru_cache(1_024)
def field_names(cls: Any) -> Sequence[str]:
    """Of a Struct, dataclass (what it compares), Pydantic model or attrs class; none of anything else."""
    if is_dataclass(cls):
        return [field.name for field in fields(cls) if field.compare]
    if attributes := getattr(cls, "__attrs_attrs__", ()):
        return [attribute.name for attribute in attributes]
    return getattr(cls, "__struct_fields__", None) or list(getattr(cls, "model_fields", ()))

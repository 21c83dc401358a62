"""What a field holds, by its type hint: in the words of `msgspec.inspect`, for fields of Pydantic models too."""

from __future__ import annotations

from collections.abc import Mapping
from types import UnionType
from typing import Annotated, Any, Final, Union, get_args, get_origin

from msgspec import inspect

_PYDANTIC_TIMES: Final[Mapping[str, inspect.Type]] = {"AwareDatetime": inspect.DateTimeType(tz=True), "NaiveDatetime": inspect.DateTimeType(tz=False)}


def hinted(hint: Any) -> inspect.Type:
    """Unions of several classes, or of several kinds of strings, are taken apart here: Pydantic reads them, msgspec would not."""
    try:
        return inspect.type_info(hint)
    except TypeError:
        origin, inner = get_origin(hint), get_args(hint)
    if origin in (Union, UnionType):
        return inspect.UnionType(tuple(map(hinted, inner)))
    if origin is Annotated:
        return hinted(inner[0])
    if origin in (list, set, frozenset):
        return inspect.ListType(hinted(inner[0]))
    return inspect.DictType(hinted(inner[0]), hinted(inner[1])) if origin is dict else inspect.AnyType()


def bare(kind: inspect.Type) -> inspect.Type:
    """Without what is no matter here, and Pydantic's kinds of times as msgspec's."""
    if isinstance(kind, inspect.Metadata):
        return bare(kind.type)
    if isinstance(kind, inspect.CustomType) and kind.cls.__module__ == "pydantic.types":
        return _PYDANTIC_TIMES.get(kind.cls.__name__, kind)
    return kind

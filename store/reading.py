"""What every store's reads share: the checks of their arguments."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TypeVar

from store.errors import InvalidEventError

T = TypeVar("T")


def check_range(after: int, limit: int | None) -> None:
    """`after` is a version or position from 0 on, `limit` a count from 0 on."""
    if not isinstance(after, int) or isinstance(after, bool) or after < 0:
        raise InvalidEventError("after", after, "is no place to read from", "give a number from 0 (the beginning) on")
    if limit is not None and (not isinstance(limit, int) or isinstance(limit, bool) or limit < 0):
        raise InvalidEventError("limit", limit, "is no count", "give a number from 0 on, or None for all")


def check_many(field: str, values: Iterable[T]) -> Iterable[T]:
    """The same, if it is more than one name: the letters of a str would be taken for names."""
    if isinstance(values, str | bytes) or not isinstance(values, Iterable):
        raise InvalidEventError(field, values, "are not a list", "put it in a list, even one alone")
    return values

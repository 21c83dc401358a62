"""What every store's reads share: the checks of their arguments."""

from __future__ import annotations

from store.errors import InvalidEventError


def check_range(after: int, limit: int | None) -> None:
    """`after` is a version or position from 0 on, `limit` a count from 0 on."""
    if not isinstance(after, int) or isinstance(after, bool) or after < 0:
        raise InvalidEventError("after", after, "is no place to read from", "give a number from 0 (the beginning) on")
    if limit is not None and (not isinstance(limit, int) or isinstance(limit, bool) or limit < 0):
        raise InvalidEventError("limit", limit, "is no count", "give a number from 0 on, or None for all")

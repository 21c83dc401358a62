"""How a stream stands under what is said of it."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple, Self

from store.retention.terms import Terms


class Standing(NamedTuple):
    """How a stream stands, all of one moment: what is said of it, its last version, hidden or not, and up to where it is hidden."""

    terms: Terms | None
    version: int
    hidden: int

    @classmethod
    def of(cls, terms: Terms | None, version: int, version_by: Callable[[int], int], now: int) -> Self:
        """`version_by`: the version that it had at a microsecond; asked only if it matters. `now`: in microseconds."""
        return cls(terms, version, 0 if terms is None else terms.hidden(version, version_by, now))

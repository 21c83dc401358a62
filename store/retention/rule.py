"""What is to be kept of a stream, or of every stream of a category."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta

from store.errors import InvalidEventError

LONGEST = timedelta(days=365_000)


@dataclass(frozen=True, slots=True)
class Rule:
    """The events of the last `max_age`, by `recorded_at`, and of these the newest `max_count`; None: no such bound.

    InvalidEventError: a bound is no age, or no count.
    """

    max_age: timedelta | None = None
    max_count: int | None = None

    def __post_init__(self) -> None:
        age, count = self.max_age, self.max_count
        if age is not None and (not isinstance(age, timedelta) or not timedelta(0) < age <= LONGEST):
            raise InvalidEventError("max_age", age, "is no age", f"give a timedelta above 0, up to {LONGEST.days:,} days, or None")
        if count is not None and (not isinstance(count, int) or isinstance(count, bool) or not 0 < count < 2**63):
            raise InvalidEventError("max_count", count, "is no count", "give a number from 1 on, or None; delete the stream to hide all of it")

    def __bool__(self) -> bool:
        """Does it hide anything?"""
        return self.max_age is not None or self.max_count is not None

    @property
    def max_age_us(self) -> int | None:
        return None if self.max_age is None else self.max_age // timedelta(microseconds=1)


EVERYTHING = Rule()
"""Nothing is hidden by it."""

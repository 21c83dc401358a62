"""When a state is worth saving."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

from store.deciding.states import NEVER, Known
from store.errors import InvalidEventError

MOST_KEPT: Final = 2**31 - 1
_NUMBERS: Final = {"every_events": int, "slow_load_ms": int | float, "every_bytes": int, "keep": int}


@dataclass(frozen=True, slots=True, kw_only=True)
class SnapshotPolicy:
    """Save a state when any of these holds; looked at after each load and each decision, off the append path.

    `every_events`: so many events since the last snapshot. `slow_load_ms`: the load took longer. `every_bytes`: so many bytes of data
    since the last one. `when`: a predicate on the state. `keep`: how many of a stream's newest snapshots compaction keeps; older
    ones serve `load_at` and `load_as_of`. None of the four: only on demand, by `snapshot(store, aggregate, id)`.

    InvalidEventError: one of the numbers is not above zero, or not whole (`slow_load_ms` need not be); `when` is no function.
    """

    every_events: int | None = None
    slow_load_ms: float | None = None
    every_bytes: int | None = None
    when: Callable[[Any], bool] | None = None
    keep: int = 2

    def __post_init__(self) -> None:
        for field, kind in _NUMBERS.items():
            value = getattr(self, field)
            if value is None and field != "keep":
                continue
            if not isinstance(value, kind) or isinstance(value, bool) or not value > 0:
                whole = "" if field == "slow_load_ms" else "whole "
                raise InvalidEventError(field, value, f"is no {whole}number above zero", "give one, or leave it out")
        if self.keep > MOST_KEPT:
            raise InvalidEventError("keep", self.keep, "is too large", f"give a whole number from 1 to {MOST_KEPT:,}")
        if self.when is not None and not callable(self.when):
            raise InvalidEventError("when", self.when, "is no function", "give one that says of a state whether to save it, or leave it out")

    def asks(self, known: Known, load_s: float) -> bool:
        """Is it time to save this state? `load_s`: what loading it took."""
        events = known.version - known.saved_at
        if not known.version or not events or known.saved_at == NEVER:
            return False
        return (
            known.saved_at < 0
            or (self.every_events is not None and events >= self.every_events)
            or (self.slow_load_ms is not None and load_s * 1000 > self.slow_load_ms)
            or (self.every_bytes is not None and known.tail_bytes >= self.every_bytes)
            or (self.when is not None and self.when(known.state))
        )

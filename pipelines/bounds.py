"""How late a read model may be before somebody is told."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta


@dataclass(frozen=True, slots=True, kw_only=True)
class Bounds:
    """`late`, `too_late`: so long its first event may wait; beyond, the check `lag` warns, then fails. `behind_events`: so many may wait, if bounded.

    `unseen`, `too_long_unseen`: so long ago its last run may be. Runs come at least once a day, also where nothing happens, so this tells of a
    Dagster that stands still; `lag` tells of a read model that does.
    """

    late: timedelta = timedelta(minutes=10)
    too_late: timedelta = timedelta(hours=1)
    behind_events: int | None = None
    unseen: timedelta = timedelta(hours=26)
    too_long_unseen: timedelta = timedelta(hours=50)

    def __post_init__(self) -> None:
        for soon, later in (("late", "too_late"), ("unseen", "too_long_unseen")):
            if not timedelta(minutes=1) <= getattr(self, soon) < getattr(self, later):
                raise ValueError(f"{soon} is {getattr(self, soon)}, {later} is {getattr(self, later)}: give a minute at least, and more for {later}")
        if self.behind_events is not None and self.behind_events < 1:
            raise ValueError(f"behind_events is {self.behind_events}: give a number from 1, or None for no bound")

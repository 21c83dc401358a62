"""A steady load on one log: what comes, how large it is, and where it is kept."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Load:
    """`events` in all, at `events_per_s`, in commits of `events_per_commit`, each stream with `events_per_stream` that come together.

    `landing_bytes`, `sorted_bytes`: of an event in a landing file and in a sorted one; `landing_file_bytes`: of a landing file beside its events.
    """

    events: int
    events_per_s: float
    events_per_commit: int
    events_per_stream: int = 100
    landing_bytes: float = 55.0
    landing_file_bytes: int = 1_600
    sorted_bytes: float = 35.0

    @property
    def commits_per_s(self) -> float:
        return self.events_per_s / self.events_per_commit

    def streams_of(self, events: int) -> int:
        """How many streams these events, one after the other, belong to."""
        return -(-events // self.events_per_stream)

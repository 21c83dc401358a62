"""What the store's own parts ask of it: the contract, and an append that makes nobody wait."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol

from store.append import Appended
from store.draft import Draft
from store.event_store import EventStore
from store.query import Query

Answer = list[Appended] | BaseException


class Submits(EventStore, Protocol):
    """A store that takes drafts without making the caller wait."""

    def submit(self, parts: Sequence[Draft], answered: Callable[[Answer], None], fail_if: Query | None = None, after: int = 0) -> None:
        """Append atomically; `answered` is called once, on a thread of the store's. With a condition it may read the log first."""

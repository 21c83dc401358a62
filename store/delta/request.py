"""One append that waits for its commit."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from store.append import Appended, TableAppended
from store.bulk import Bulk
from store.condition import Condition
from store.draft import Draft

Answer = list[Appended] | TableAppended | BaseException


@dataclass(slots=True)
class Request:
    """One append that waits: the drafts of one atomic append, or a table. `arrived_s`: by the monotonic clock."""

    parts: Sequence[Draft] | Bulk
    answered: Callable[[Answer], None]
    arrived_s: float
    condition: Condition | None = None

    @property
    def correlation_id(self) -> str | None:
        if isinstance(self.parts, Bulk):
            return None
        return next((part.correlation_id for part in self.parts if part.correlation_id is not None), None)

    @property
    def stream_id(self) -> str | None:
        return None if isinstance(self.parts, Bulk) or not self.parts else self.parts[0].stream_id

    @property
    def events(self) -> int:
        return len(self.parts.table) if isinstance(self.parts, Bulk) else sum(len(part.rows) for part in self.parts)

    def correlation_ids(self) -> set[str]:
        """Of all its events."""
        if isinstance(self.parts, Bulk):
            return set()
        return {correlation_id for part in self.parts for row in part.rows if (correlation_id := row[5]) is not None}

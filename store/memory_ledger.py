"""A log in memory as an auditor sees it: it has no commits, and nothing in it is ever rewritten but by the store."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterator
from typing import Final

import pyarrow as pa
import pyarrow.compute as pc

from store.audit.ledger import Commit
from store.husk import are_husks

BATCH_ROWS: Final = 65_536


class MemoryLedger:
    """See `Ledger`."""

    def __init__(self, events: Callable[[], pa.Table]) -> None:
        self._events = events
        self._log = str(uuid.uuid4())

    @property
    def log(self) -> str:
        return self._log

    def head(self) -> int:
        return len(self._events())

    def stored(self, after: int, until: int) -> Iterator[pa.Table]:
        events = self._events().slice(after, max(0, until - after))
        for start in range(0, len(events), BATCH_ROWS):
            yield events.slice(start, BATCH_ROWS)

    def rewrites(self) -> str:
        return str(pc.sum(are_husks(self._events()["data"])).as_py() or "")

    def husks(self, until: int) -> Iterator[pa.Table]:
        events = self._events().slice(0, until).select(["position", "data"])
        yield events.filter(are_husks(events["data"]))

    def newest(self) -> Commit:
        return Commit(-1, "")

    def commit(self, version: int) -> str | None:
        return None

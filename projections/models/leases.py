"""Who is making a build of a projection, so that a second one is told at once instead of working for nothing."""

from __future__ import annotations

import os
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Final

import pyarrow as pa

from projections.errors import UnderWayError
from store import KeyedTable, StoreError, TableMovedError

LEASE: Final = timedelta(seconds=60)
"""So long it holds without being renewed: what a maker on another machine that was killed keeps others waiting, at most."""
RENEW_S: Final = 15.0
_TIME: Final = pa.timestamp("us", tz="UTC")
_COLUMNS: Final = pa.schema({"projection": pa.string(), "host": pa.string(), "process": pa.int64(), "since": _TIME, "until": _TIME})

Clock = Callable[[], datetime]


@dataclass(frozen=True, slots=True)
class Lease:
    """`process`: its number on that host. `until`: when it ends, unless it is renewed."""

    projection: str
    host: str
    process: int
    since: datetime
    until: datetime

    @property
    def owner(self) -> str:
        return f"process {self.process} on {self.host}"

    def is_over(self, now: datetime) -> bool:
        """Not renewed, or its process is known to be gone."""
        return now >= self.until or (self.host == socket.gethostname() and not _is_running(self.process))


class Leases:
    """A small Delta table beside the builds, `projections/_leases`. It spares work, and keeps nothing safe: that the commits of the rows do."""

    def __init__(self, warehouse: str, clock: Clock = lambda: datetime.now(UTC)) -> None:
        uri = f"{warehouse.rstrip('/')}/projections/_leases"
        self._table = KeyedTable(uri, "leases", _COLUMNS, ("projection",), description="Who is making builds of projections.")
        self._clock = clock

    def of(self, projection: str) -> Lease | None:
        """Who is making a build of it now; None: nobody."""
        found = next((lease for lease in self._all() if lease.projection == projection), None)
        return None if found is None or found.is_over(self._clock()) else found

    @contextmanager
    def held(self, projection: str) -> Iterator[Lease]:
        """Inside, nobody else can have it. UnderWayError: somebody has."""
        mine, done = self._take(projection), threading.Event()
        renewing = threading.Thread(target=self._renew, args=(mine, done), name="alluvium-lease", daemon=True)
        renewing.start()
        try:
            yield mine
        finally:
            done.set()
            renewing.join()
            with suppress(StoreError):             # it ends by itself
                self._change(mine, lambda found: None if _same(found, mine) else found)

    def _take(self, projection: str) -> Lease:
        now = self._clock()
        mine = Lease(projection, socket.gethostname(), os.getpid(), now, now + LEASE)

        def decide(found: Lease | None) -> Lease:
            if found is not None and not found.is_over(now):
                raise UnderWayError(projection, found.owner, found.since)
            return mine

        self._change(mine, decide)
        return mine

    def _renew(self, mine: Lease, done: threading.Event) -> None:
        def decide(found: Lease | None) -> Lease | None:
            return replace(found, until=self._clock() + LEASE) if found and _same(found, mine) else found

        while not done.wait(RENEW_S):
            with suppress(StoreError):             # the next try is soon
                self._change(mine, decide)

    def _change(self, mine: Lease, decide: Callable[[Lease | None], Lease | None]) -> None:
        """Commit what `decide` makes of the projection's lease, anew after a lost race."""
        while True:
            turn = self._table.turn()
            found = next((lease for lease in self._all() if lease.projection == mine.projection), None)
            decided = decide(found)
            if decided == found:
                return
            try:
                turn.commit(_rows(decided), _COLUMNS.empty_table() if decided else _rows(found), {})
            except TableMovedError:
                continue
            return

    def _all(self) -> list[Lease]:
        return [Lease(**row) for row in self._table.rows().to_pylist()]


def _rows(lease: Lease | None) -> pa.Table:
    return pa.Table.from_pylist([] if lease is None else [asdict(lease)], schema=_COLUMNS)


def _same(found: Lease | None, mine: Lease) -> bool:
    """However often it was renewed."""
    return found is not None and (found.host, found.process, found.since) == (mine.host, mine.process, mine.since)


def _is_running(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True                                # somebody else's
    return True

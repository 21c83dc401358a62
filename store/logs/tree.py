"""The logs of a warehouse: the first one, what it was split into, and so on down."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import Final

from store.errors import OutcomeUnknownError, StorageError, StoreClosedError
from store.logs.log_name import WHOLE, LogName
from store.logs.member import Member
from store.logs.order import ranked

AT_ONCE: Final = 16
"""So many logs are asked at once."""


class Tree:
    """Knows every log that it has come by, and finds the others when they are asked for. Safe to use from many threads at once."""

    def __init__(self, open_member: Callable[[LogName, Member | None], Member]) -> None:
        self._open_member = open_member
        self._lock = threading.RLock()
        self._members: dict[LogName, Member] = {}
        self._pool = ThreadPoolExecutor(AT_ONCE, "alluvium-logs")
        self._root = self._open(WHOLE, None)

    def of(self, stream_id: str) -> Member:
        """The log that takes the stream's next event, as far as is known."""
        member = self._root
        while member.sealed:
            names = map(LogName.parse, member.sealed)
            member = self._open(next(name for name in names if name.holds(stream_id)), member)
        return member

    def all(self) -> list[Member]:
        """All that are known of, in the order in which they are ranked."""
        members = [self._root]
        for member in members:                     # which grows meanwhile
            members += [self._open(LogName.parse(name), member) for name in member.sealed]
        return ranked(sorted(members, key=lambda member: str(member.name)))

    def refreshed(self) -> list[Member]:
        """The same, after a look at what others did in each."""
        while True:
            members = self.all()
            live = [member for member in members if not member.sealed]
            self._each(Member.head, live)
            if not any(member.sealed for member in live):
                return members

    def tick(self, members: list[tuple[Member, int]]) -> None:
        """Have each of these promise a time, where that is allowed and storage answers."""
        self._each(_tick, *zip(*members, strict=True))

    def close(self) -> None:
        self._pool.shutdown()
        with self._lock:
            for member in self._members.values():
                member.close()

    def _each(self, work: Callable[..., object], *given: Sequence[object]) -> None:
        try:
            list(self._pool.map(work, *given))
        except RuntimeError as error:              # the pool's word for it
            raise StoreClosedError("this store is closed: open it again") from error

    def _open(self, name: LogName, earlier: Member | None) -> Member:
        with self._lock:
            if name not in self._members:
                self._members[name] = self._open_member(name, earlier)
            return self._members[name]


def _tick(member: Member, moment: int) -> None:
    with suppress(StorageError, OutcomeUnknownError):      # who may not write waits for those who do
        member.tick(moment)

"""The logs of a warehouse: the first one, what it was split into, and so on down."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Final

from store.errors import AccessDeniedError, OutcomeUnknownError, StorageError, StoreClosedError
from store.logs.log_name import WHOLE, LogName
from store.logs.member import Member
from store.logs.order import ranked
from store.shard import stream_hash

AT_ONCE: Final = 16
"""So many logs are asked at once."""


class Tree:
    """Knows every log that it has come by, and finds the others when they are asked for. Safe to use from many threads at once."""

    def __init__(self, open_member: Callable[[LogName, Member | None], Member]) -> None:
        self._open_member = open_member
        self._lock = threading.Lock()
        self._members: dict[LogName, Future[Member]] = {}
        self._pool = ThreadPoolExecutor(AT_ONCE, "alluvium-logs")
        self._closed = False
        try:
            self._root = self._open(WHOLE, None)
            self.all()
        except BaseException:
            self.close()
            raise

    @property
    def root(self) -> Member:
        """The first log."""
        return self._root

    def of(self, stream_id: str) -> Member:
        """The log that takes the stream's next event, as far as is known."""
        member, digits = self._root, stream_hash(stream_id)
        while member.sealed:
            member = self._open(next(name for name in member.parts if name.holds_hash(digits)), member)
        return member

    def all(self) -> list[Member]:
        """All that are known of, in the order in which they are ranked."""
        members = [self._root]
        for member in members:                     # which grows meanwhile
            if (names := member.parts) and names[0] not in self._members:
                self._each(self._open, names, [member] * len(names))           # to open one takes some requests
            members += [self._open(name, member) for name in names]
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
        self._closed = True
        self._pool.shutdown()
        for opened in self._members.values():
            if opened.exception() is None:
                opened.result().close()

    def _each(self, work: Callable[..., object], *given: Sequence[object]) -> None:
        try:
            list(self._pool.map(work, *given))
        except RuntimeError as error:              # the pool's word for it, and that of others for much else
            if not self._closed:
                raise
            raise StoreClosedError("this store is closed: open it again") from error

    def _open(self, name: LogName, earlier: Member | None) -> Member:
        """Whoever comes first opens it, and the others wait. One that could not be opened is tried anew by the next."""
        with self._lock:
            there = self._members.get(name)
            opened = self._members[name] = there if there is not None else Future()
        if there is None:
            try:
                opened.set_result(self._open_member(name, earlier))
            except BaseException as error:
                with self._lock:
                    del self._members[name]
                opened.set_exception(error)
        return opened.result()


def _tick(member: Member, moment: int) -> None:
    if not member.may_tick:
        return
    try:
        member.tick(moment)
    except AccessDeniedError:                      # who may not write waits for those who do, and asks once whether it may
        member.may_tick = False
    except (StorageError, OutcomeUnknownError):
        pass

"""A line before one ground of decisions: the first in it serves all that wait, so that they share one commit."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Hashable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Final, Generic, Protocol, TypeVar

BATCH: Final = 1_000
"""So many are served together at most."""
LINGER_S: Final = 0.0002


class Waits(Protocol):
    """One that stands in a line."""

    @property
    def served(self) -> bool: ...


W = TypeVar("W", bound=Waits)


@dataclass(slots=True, eq=False)
class Place(Generic[W]):
    """A place in a line. `called`: released when its one is served, or is to lead. `left`: its thread waits no more."""

    one: W
    called: threading.Lock = field(default_factory=threading.Lock)
    left: bool = False

    def __post_init__(self) -> None:
        self.called.acquire()


class Line(Generic[W]):
    """One line. It has no thread of its own: the first that comes leads, serves all, and hands the lead to one that came meanwhile."""

    def __init__(self) -> None:
        self.users = 0
        self._lock = threading.Lock()
        self._waiting: deque[Place[W]] = deque()
        self._leader: Place[W] | None = None
        self._together = 0

    def join(self, one: W, serve: Callable[[Sequence[W]], None]) -> None:
        """Wait until `one` is served, by this thread or another. `serve` serves all that it is given.

        A signal may end any wait, in line or in the lead: who goes leaves no place behind that others would wait for.
        """
        place = Place(one)
        try:
            with self._lock:
                self._waiting.append(place)
                if self._leader is None:
                    self._call_next()
            place.called.acquire()
            while not one.served:
                self._serve(place, serve)
        finally:
            self._leave(place)

    def _leave(self, place: Place[W]) -> None:
        with self._lock:
            place.left = True
            if place in self._waiting:
                self._waiting.remove(place)
            if self._leader is place:
                self._call_next()

    def _call_next(self) -> None:
        self._leader = self._waiting[0] if self._waiting else None
        if self._leader is not None:
            self._leader.called.release()

    def _serve(self, leader: Place[W], serve: Callable[[Sequence[W]], None]) -> None:
        self._linger()
        with self._lock:
            batch = [self._waiting.popleft() for _ in range(min(BATCH, len(self._waiting)))]
        try:
            serve([place.one for place in batch])
        finally:
            with self._lock:                       # an error that ends this thread's wait is not the others': they serve themselves
                self._together = len(batch)
                again = [place for place in batch if not place.one.served and not place.left and place is not leader]
                self._waiting.extendleft(reversed(again))
            for place in batch:
                if place.one.served and place is not leader:
                    place.called.release()

    def _linger(self) -> None:
        """Those that were served together come back together: to begin with the first of them would leave the rest a whole commit behind."""
        there = len(self._waiting)
        while there < self._together:
            time.sleep(LINGER_S)
            before, there = there, len(self._waiting)
            if there == before:
                return


class Lines(Generic[W]):
    """The lines that somebody stands in."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._lines: dict[Hashable, Line[W]] = {}

    @contextmanager
    def at(self, key: Hashable) -> Iterator[Line[W]]:
        with self._lock:
            line = self._lines.setdefault(key, Line())
            line.users += 1
        try:
            yield line
        finally:
            with self._lock:
                line.users -= 1
                if not line.users:
                    del self._lines[key]

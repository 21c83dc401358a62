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
    """A place in a line. `called`: released when its one is served, or is to lead."""

    one: W
    called: threading.Lock = field(default_factory=threading.Lock)

    def __post_init__(self) -> None:
        self.called.acquire()


class Line(Generic[W]):
    """One line. It has no thread of its own: the first that comes leads, serves all, and hands the lead to one that came meanwhile."""

    def __init__(self) -> None:
        self.users = 0
        self._lock = threading.Lock()
        self._waiting: deque[Place[W]] = deque()
        self._led = False
        self._together = 0

    def join(self, one: W, serve: Callable[[Sequence[W]], None]) -> None:
        """Wait until `one` is served, by this thread or another. `serve` serves all that it is given."""
        place = Place(one)
        with self._lock:
            self._waiting.append(place)
            leads, self._led = not self._led, True
        if not leads:
            place.called.acquire()
        if not one.served:
            self._lead(one, serve)

    def _lead(self, one: W, serve: Callable[[Sequence[W]], None]) -> None:
        try:
            while not one.served:
                self._serve(one, serve)
        finally:
            with self._lock:
                self._led = bool(self._waiting)
                if self._led:
                    self._waiting[0].called.release()

    def _serve(self, one: W, serve: Callable[[Sequence[W]], None]) -> None:
        self._linger()
        with self._lock:
            batch = [self._waiting.popleft() for _ in range(min(BATCH, len(self._waiting)))]
        try:
            serve([place.one for place in batch])
        finally:
            self._together = len(batch)
            unserved = [place for place in batch if not place.one.served and place.one is not one]
            with self._lock:                       # an error that ends this thread's wait is not the others': they serve themselves
                self._waiting.extendleft(reversed(unserved))
            for place in batch:
                if place.one.served:
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

"""States as they were last folded: who asks again folds what is new. Least recently used ones go when they take too many bytes."""

from __future__ import annotations

import gc
import math
import sys
import threading
import time
from collections import OrderedDict
from collections.abc import Hashable
from dataclasses import dataclass
from types import BuiltinFunctionType, FunctionType, ModuleType
from typing import Any, Final, NamedTuple

from store.privacy.key import KeyId

CACHED_BYTES: Final = 64 << 20
ENTRY_BYTES: Final = 512
"""What remembering costs besides the state: the key, its place in the cache, the `Known`. Measured: 360 to 390."""
EVENT_BYTES: Final = 256
"""So much an event may add to a state besides its data: an object around it, a place in a collection."""
WEIGHED_AGAIN: Final = 0.25
"""A state is weighed again when the events since may have added this part of its weight: weighing walks all of it."""
_SHARED: Final = (type, ModuleType, FunctionType, BuiltinFunctionType)


REPLACE: Final = -1
"""As `Known.saved_at`: the newest snapshot is of no use."""
FOREIGN: Final = -2
"""Worse: one is of another log, as after a restore of this one to an earlier point. It would pass for newer than all that are to come."""
NEVER: Final = 2**63 - 1
"""None is to be taken: what the stream hides changes by itself, so that no snapshot of it stays true."""


@dataclass(frozen=True, slots=True)
class Known:
    """A state as of `version` (a boundary's: how many events it was folded from) and `position`.

    `checked_s`: by the monotonic clock, when the log was seen to hold nothing newer. `saved_at`: version of the newest snapshot; 0: there
    is none; REPLACE, FOREIGN: there is one that must go; NEVER: there shall be none. `tail_bytes`: data of the events since it; of a
    boundary's, all of them. `event_id`: of the stream's last event, by which a load knows that a snapshot is of its log. `keys`: of the personal
    data in it; without them it must not be shown, nor saved. `hidden`, `changed`: the window through which the stream was seen (see `Window`);
    through another one the state would be another.
    """

    state: Any
    version: int
    position: int
    checked_s: float
    saved_at: int = 0
    tail_bytes: int = 0
    event_id: str = ""
    keys: frozenset[KeyId] = frozenset()
    hidden: int = 0
    changed: int = 0

    def shown(self, error: Exception) -> str:
        """An error about the state, for a log: with personal data in it nothing but the class, since what it says may show some."""
        return type(error).__name__ if self.keys else repr(error)

    @property
    def place(self) -> tuple[int, int, float]:
        """Of two states of one stream the greater one is the newer one."""
        return self.changed, self.position, self.checked_s


class CacheUse(NamedTuple):
    """How the cache is doing. `hits`: loads that found a state, up to date or not; the rest are `misses`.

    `evicted`: states that had to go, or were too large to be remembered at all. `size_bytes`: what is remembered takes about so much.
    """

    hits: int
    misses: int
    evicted: int
    states: int
    size_bytes: int
    most_bytes: int


class Entry(NamedTuple):
    """A remembered state, what it took when it was weighed, and what events may have added since."""

    known: Known
    size_bytes: int
    grown_bytes: int = 0


class States:
    """Known states by (what folds them, what of). Safe to use from many threads."""

    def __init__(self, most_bytes: int = CACHED_BYTES) -> None:
        self._lock = threading.Lock()
        self._entries: OrderedDict[Hashable, Entry] = OrderedDict()
        self._most_bytes = most_bytes
        self._forgot_s = -math.inf
        self._bytes = self._hits = self._misses = self._evicted = 0

    def get(self, key: Hashable) -> Known | None:
        with self._lock:
            if (entry := self._entries.get(key)) is None:
                self._misses += 1
                return None
            self._hits += 1
            self._entries.move_to_end(key)
            return entry.known

    def forget(self) -> None:
        """All states: what they were folded from may say something else now."""
        with self._lock:
            self._entries.clear()
            self._bytes = 0
            self._forgot_s = time.monotonic()

    def forgot_since(self, moment_s: float) -> bool:
        """Was all forgotten at that moment of the monotonic clock, or later? Then a state that was folded from what was read before may be wrong."""
        with self._lock:
            return self._forgot_s >= moment_s

    def put(self, key: Hashable, known: Known) -> None:
        """Remember, unless something newer is there, all was forgotten since it was known, or it alone takes more than all may."""
        with self._lock:
            before = self._entries.get(key)
        entry = _weighed(before, known)            # without the lock: it can take long
        with self._lock:
            if known.checked_s <= self._forgot_s:
                return
            if (before := self._entries.get(key)) is not None:
                if before.known.place > known.place:
                    return
                self._drop(key)
            if entry.size_bytes > self._most_bytes:
                self._evicted += 1                 # just this one, not all the others for it
                return
            self._entries[key] = entry
            self._bytes += entry.size_bytes
            while self._bytes > self._most_bytes:
                self._drop(next(iter(self._entries)))
                self._evicted += 1

    def forget_subject(self, ref: str) -> None:
        """Drop the states that hold personal data of this subject."""
        with self._lock:
            for key in [key for key, entry in self._entries.items() if any(id.ref == ref for id in entry.known.keys)]:
                self._drop(key)

    def drop(self, key: Hashable, known: Known) -> None:
        """Drop this state, if it is still there."""
        with self._lock:
            if (entry := self._entries.get(key)) is not None and entry.known is known:
                self._drop(key)

    def use(self) -> CacheUse:
        with self._lock:
            return CacheUse(self._hits, self._misses, self._evicted, len(self._entries), self._bytes, self._most_bytes)

    def _drop(self, key: Hashable) -> None:
        self._bytes -= self._entries.pop(key).size_bytes


def _weighed(before: Entry | None, known: Known) -> Entry:
    if before is not None:
        events, data_bytes = known.version - before.known.version, known.tail_bytes - before.known.tail_bytes
        grown_bytes = before.grown_bytes + max(0, events) * EVENT_BYTES + max(0, data_bytes)
        if grown_bytes <= WEIGHED_AGAIN * before.size_bytes:
            return Entry(known, before.size_bytes, grown_bytes)
    return Entry(known, ENTRY_BYTES + weigh(known.state))


def weigh(state: Any) -> int:
    """Bytes in memory of a state and all that can be reached from it, each object once; classes, modules and functions weigh nothing.

    What several states share weighs in each of them: together they are thought to take more than they do, never less.
    """
    seen, waiting, size_bytes = set[int](), [state], 0
    while waiting:
        thing = waiting.pop()
        if id(thing) in seen or isinstance(thing, _SHARED):
            continue
        seen.add(id(thing))
        size_bytes += sys.getsizeof(thing)
        waiting += gc.get_referents(thing)
    return size_bytes

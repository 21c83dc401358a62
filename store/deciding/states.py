"""States as they were last folded: who asks again folds what is new. Least recently used ones go when they take too many bytes."""

from __future__ import annotations

import gc
import sys
import threading
from collections import OrderedDict
from collections.abc import Hashable
from dataclasses import dataclass
from types import BuiltinFunctionType, FunctionType, ModuleType
from typing import Any, Final, NamedTuple

CACHED_BYTES: Final = 64 << 20
_SHARED: Final = (type, ModuleType, FunctionType, BuiltinFunctionType)


@dataclass(frozen=True, slots=True)
class Known:
    """A state as of `version` (a boundary's: how many events it was folded from) and `position`.

    `checked_s`: by the monotonic clock, when the log was seen to hold nothing newer. `saved_at`: version of the newest snapshot; 0: there
    is none; below 0: there is one that must be replaced. `tail_bytes`: data of the events since it.
    """

    state: Any
    version: int
    position: int
    checked_s: float
    saved_at: int = 0
    tail_bytes: int = 0


class CacheUse(NamedTuple):
    """How the cache is doing. `hits`: loads that found a state, up to date or not; the rest are `misses`."""

    hits: int
    misses: int
    evicted: int
    states: int
    size_bytes: int
    most_bytes: int


class States:
    """Known states by (what folds them, what of). Safe to use from many threads."""

    def __init__(self, most_bytes: int = CACHED_BYTES) -> None:
        self._lock = threading.Lock()
        self._known: OrderedDict[Hashable, tuple[Known, int, int]] = OrderedDict()
        self._most_bytes = most_bytes
        self._bytes = self._hits = self._misses = self._evicted = 0

    def get(self, key: Hashable) -> Known | None:
        with self._lock:
            if (entry := self._known.get(key)) is None:
                self._misses += 1
                return None
            self._hits += 1
            self._known.move_to_end(key)
            return entry[0]

    def put(self, key: Hashable, known: Known) -> None:
        """Remember, unless something newer is there. Weighed again only when the state may have doubled: weighing walks all of it."""
        with self._lock:
            before, size_bytes, weighed_at = self._known.get(key, (None, 0, -1))
        if weighed_at < 0 or known.version >= 2 * weighed_at:
            size_bytes, weighed_at = weigh(known.state), known.version
        with self._lock:
            before, before_bytes, _ = self._known.pop(key, (None, 0, 0))
            if before is not None and (before.position, before.checked_s) > (known.position, known.checked_s):
                known = before
            self._known[key] = known, size_bytes, weighed_at
            self._bytes += size_bytes - before_bytes
            while self._bytes > self._most_bytes and self._known:
                self._bytes -= self._known.popitem(last=False)[1][1]
                self._evicted += 1

    def use(self) -> CacheUse:
        with self._lock:
            return CacheUse(self._hits, self._misses, self._evicted, len(self._known), self._bytes, self._most_bytes)


def weigh(state: Any) -> int:
    """Bytes in memory of a state and all that only it holds; classes, modules and functions are everybody's."""
    seen, waiting, size_bytes = set[int](), [state], 0
    while waiting:
        thing = waiting.pop()
        if id(thing) in seen or isinstance(thing, _SHARED):
            continue
        seen.add(id(thing))
        size_bytes += sys.getsizeof(thing)
        waiting += gc.get_referents(thing)
    return size_bytes

"""Keys in one process's memory: for the memory store, and for tests."""

from __future__ import annotations

import os
import threading
from collections.abc import Collection, Mapping

from store.privacy.key import KEY_BYTES, Key, KeyId
from store.privacy.ref import PEPPER_BYTES, ref_of


class MemoryKeys:
    """See `Keys`. They end with the process, and whatever was sealed by them is unreadable from then on."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._pepper = os.urandom(PEPPER_BYTES)
        self._materials: dict[str, dict[int, bytes]] = {}
        self._last: dict[str, int] = {}
        """The highest number that a subject's keys have had."""

    def ref(self, subject: str) -> str:
        return ref_of(self._pepper, subject)

    def newest(self, subjects: Collection[str]) -> Mapping[str, Key]:
        with self._lock:
            return {subject: self._newest(self.ref(subject)) for subject in subjects}

    def find(self, ids: Collection[KeyId]) -> Mapping[KeyId, Key]:
        with self._lock:
            there = ((id, self._materials.get(id.ref, {}).get(id.n)) for id in ids)
            return {id: Key(id, material) for id, material in there if material is not None}

    def rotate(self, subject: str) -> Key:
        with self._lock:
            return self._made(self.ref(subject))

    def delete(self, subject: str) -> int:
        with self._lock:
            return len(self._materials.pop(self.ref(subject), {}))

    def _newest(self, ref: str) -> Key:
        there = self._materials.get(ref)
        return Key(KeyId(ref, max(there)), there[max(there)]) if there else self._made(ref)

    def _made(self, ref: str) -> Key:
        self._last[ref] = n = self._last.get(ref, 0) + 1
        self._materials.setdefault(ref, {})[n] = material = os.urandom(KEY_BYTES)
        return Key(KeyId(ref, n), material)

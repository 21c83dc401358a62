"""The keys that this process has at hand: those used lately, for a while."""

from __future__ import annotations

import hashlib
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Collection, Iterable, Mapping
from typing import Final, NamedTuple

from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from store.errors import InvalidEventError
from store.observer import Failed, Guarded, LoggingObserver, Observer
from store.privacy.key import KEY_BYTES, Key, KeyId, Keys
from store.privacy.token import Opened, Token, safe_stand_in, unseal

MAX_AGE_S: Final = 60.0
"""So long a key is used before it is asked for again: so long another process may still read what was to be forgotten."""
MAX_KEYS: Final = 100_000
"""About 50 MB."""


class Held(NamedTuple):
    """A key, ready to be used. `looked_s`: by the monotonic clock, when it was last seen to be there."""

    key: Key
    cipher: AESGCM
    looked_s: float


class Keyring:
    """Safe to use from many threads. What `keys` raises is raised here."""

    def __init__(
        self,
        keys: Keys,
        *,
        max_age_s: float = MAX_AGE_S,
        max_keys: int = MAX_KEYS,
        observer: Observer | None = None,
        clock_s: Callable[[], float] = time.monotonic,
    ) -> None:
        """`max_age_s`, `max_keys`: of the keys that are remembered. `observer`: is told of tokens that are not authentic."""
        if not max_age_s >= 0 or max_keys < 1:
            raise InvalidEventError("keyring", (max_age_s, max_keys), "can remember nothing", "give an age from 0 s on, and one key at least")
        self.keys, self.max_age_s = keys, max_age_s
        self._max_keys, self._clock_s = max_keys, clock_s
        self._observer = Guarded(LoggingObserver()) if observer is None else observer
        self._lock, self._line = threading.Lock(), threading.Lock()
        self._held: OrderedDict[KeyId, Held] = OrderedDict()
        self._newest: OrderedDict[str, KeyId] = OrderedDict()
        self._wanted: set[str] = set()
        self._drops = 0

    def has(self, subjects: Collection[str]) -> bool:
        """Can something be sealed for all of them without waiting for the keys' place?"""
        with self._lock:
            return all(self._sealing(subject) is not None for subject in subjects)

    def sealing(self, subjects: Collection[str]) -> Mapping[str, Held]:
        """The newest key of each, made where there is none. Those who wait for keys to be made share the next making."""
        with self._lock:
            found = {subject: held for subject in subjects if (held := self._sealing(subject)) is not None}
            missing = [subject for subject in subjects if subject not in found]
            self._wanted.update(missing)
        if not missing:
            return found
        with self._line:
            with self._lock:
                made = {subject: held for subject in missing if (held := self._sealing(subject)) is not None}
                if len(made) == len(missing):      # by the one before in the line
                    return found | made
                wanted, self._wanted, drops = self._wanted.union(missing), set(), self._drops
            fresh = self._hold_newest(self.keys.newest(wanted), drops)
        return found | made | {subject: fresh[subject] for subject in missing}

    def find(self, ids: Iterable[KeyId]) -> Mapping[KeyId, Held]:
        """Those of these keys that are there: as of now, or as of `max_age_s` ago at most."""
        wanted = set(ids)
        with self._lock:
            found = {id: held for id in wanted if (held := self._fresh(id)) is not None}
            drops = self._drops
        missing = wanted - found.keys()
        return found | self._hold(self.keys.find(missing).values(), drops) if missing else found

    def opener(self, ids: Iterable[KeyId]) -> tuple[Opened, frozenset[KeyId]]:
        """What gives the value of tokens of these keys, or what stands for it; and the keys by which it can."""
        there = self.find(ids)

        def opened(token: Token) -> bytes:
            if (held := there.get(token.id)) is None:
                return safe_stand_in(token)
            if (value := unseal(held.cipher, token)) is None:
                self._observer.record(Failed("privacy", f"a token of key {token.id.ref}.{token.id.n} is not authentic, and reads as redacted"))
                return safe_stand_in(token)
            return value

        return opened, frozenset(there)

    def together(self, ids: Collection[KeyId], salt: bytes) -> AESGCM | None:
        """A key that nobody can have without having all of these; None: some are gone."""
        there = self.find(ids)
        if len(there) < len(set(ids)):
            return None
        materials = b"".join(there[id].key.material for id in sorted(there))
        return AESGCM(HKDF(SHA256(), KEY_BYTES, salt, b"alluvium states" + hashlib.sha256(repr(sorted(there)).encode()).digest()).derive(materials))

    def drop(self, ref: str) -> None:
        """Forget the keys of a subject; what is being looked up just now is not remembered either."""
        with self._lock:
            self._drops += 1
            for id in [id for id in self._held if id.ref == ref]:
                del self._held[id]
            for subject in [subject for subject, id in self._newest.items() if id.ref == ref]:
                del self._newest[subject]

    def _sealing(self, subject: str) -> Held | None:
        id = self._newest.get(subject)
        return None if id is None else self._fresh(id)

    def _fresh(self, id: KeyId) -> Held | None:
        held = self._held.get(id)
        if held is None:
            return None
        if self._clock_s() - held.looked_s > self.max_age_s:
            del self._held[id]
            return None
        self._held.move_to_end(id)
        return held

    def _hold_newest(self, keys: Mapping[str, Key], drops: int) -> Mapping[str, Held]:
        held = self._hold(keys.values(), drops)
        with self._lock:
            if drops == self._drops:
                for subject, key in keys.items():
                    self._newest[subject] = key.id
                    self._newest.move_to_end(subject)
                while len(self._newest) > self._max_keys:
                    self._newest.popitem(last=False)
        return {subject: held[key.id] for subject, key in keys.items()}

    def _hold(self, keys: Iterable[Key], drops: int) -> dict[KeyId, Held]:
        now_s = self._clock_s()
        held = {key.id: Held(key, AESGCM(key.material), now_s) for key in keys}
        with self._lock:
            if drops == self._drops:               # else one of them may have been deleted since it was read
                self._held.update(held)
                while len(self._held) > self._max_keys:
                    self._held.popitem(last=False)
        return held

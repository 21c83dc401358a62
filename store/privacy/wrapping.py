"""Keys wrapped by a master key: who has the table of keys, and not the master key, has nothing."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Sequence
from typing import Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from store.errors import InvalidEventError
from store.privacy.token import NONCE_BYTES, unwritten, written

MASTER_KEY_BYTES: Final = 32
"""Of a key that wraps the others: random ones, as `os.urandom` gives."""
PLAIN: Final = ""
"""Stands for the name of the master key where there is none."""


class Wrapping:
    """`master_keys`: the first one wraps, the others only unwrap what an earlier one wrapped; none: nothing is wrapped."""

    def __init__(self, master_keys: Sequence[bytes] = ()) -> None:
        """InvalidEventError: one of them has not MASTER_KEY_BYTES bytes. It is not shown."""
        for key in master_keys:
            if not isinstance(key, bytes) or len(key) != MASTER_KEY_BYTES:
                told = f"of {len(key)} bytes" if isinstance(key, bytes) else type(key).__name__
                remedy = f"give {MASTER_KEY_BYTES} random bytes, such as os.urandom({MASTER_KEY_BYTES})"
                raise InvalidEventError("master_keys", told, "is no master key", remedy)
        self._ciphers = {name_of(key): AESGCM(key) for key in master_keys}
        self.name = next(iter(self._ciphers), PLAIN)
        """Of the master key that wraps."""

    def wrapped(self, place: str, material: bytes) -> str:
        """`place`: what the material is; it can be unwrapped as nothing else."""
        if not self._ciphers:
            return written(material)
        nonce = os.urandom(NONCE_BYTES)
        return written(nonce + self._ciphers[self.name].encrypt(nonce, material, place.encode()))

    def unwraps(self, name: str) -> bool:
        """Is that master key given, or was there none?"""
        return name == PLAIN or name in self._ciphers

    def unwrapped(self, name: str, place: str, text: str) -> bytes | None:
        """None: it was wrapped by a master key that is not given here. ValueError: it is damaged."""
        if name == PLAIN:
            return unwritten(text)
        if (cipher := self._ciphers.get(name)) is None:
            return None
        sealed = unwritten(text)
        try:
            return cipher.decrypt(sealed[:NONCE_BYTES], sealed[NONCE_BYTES:], place.encode())
        except InvalidTag as error:
            raise ValueError(f"{place} does not fit the master key {name}") from error


def name_of(master_key: bytes) -> str:
    """By which one can tell master keys apart without knowing them."""
    return hashlib.sha256(b"alluvium master key" + master_key).hexdigest()[:8]

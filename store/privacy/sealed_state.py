"""Saved states that hold personal data: encrypted as a whole, by a key that nobody has who lacks the key of any one of the subjects in it."""

from __future__ import annotations

import os
import zlib
from collections.abc import Collection
from typing import Any, Final

import orjson
from cryptography.exceptions import InvalidTag

from store.privacy.key import KeyId
from store.privacy.keyring import Keyring
from store.privacy.token import NONCE_BYTES, unwritten, written

SEALED: Final = "$sealed"
"""The one member of the JSON that a sealed state is stored as."""
SALT_BYTES: Final = 16


def seal_state(keyring: Keyring, ids: Collection[KeyId], text: str, place: str) -> str | None:
    """The state's JSON, sealed; None: the key of one of them is gone. `place`: which state it is; it can be opened as no other."""
    salt, nonce = os.urandom(SALT_BYTES), os.urandom(NONCE_BYTES)
    if (cipher := keyring.together(ids, salt)) is None:
        return None
    sealed = nonce + cipher.encrypt(nonce, zlib.compress(text.encode(), 1), place.encode())
    said = {"keys": [f"{id.ref}.{id.n}" for id in sorted(ids)], "salt": written(salt), "state": written(sealed)}
    return orjson.dumps({SEALED: said}).decode()


def is_sealed(text: str) -> bool:
    return text.startswith(f'{{"{SEALED}":')


def open_state(keyring: Keyring, text: str, place: str) -> tuple[str, frozenset[KeyId]] | None:
    """The state's JSON, and the keys that it takes; None: one of them is gone. ValueError: it is damaged, or of another place."""
    said: Any = orjson.loads(text)[SEALED]
    try:
        ids = frozenset(_id(one) for one in said["keys"])
        cipher, sealed = keyring.together(ids, unwritten(said["salt"])), unwritten(said["state"])
        if cipher is None:
            return None
        return zlib.decompress(cipher.decrypt(sealed[:NONCE_BYTES], sealed[NONCE_BYTES:], place.encode())).decode(), ids
    except (InvalidTag, KeyError, TypeError, zlib.error) as error:
        raise ValueError(f"the sealed state of {place} is damaged ({error!r})") from error


def _id(text: str) -> KeyId:
    ref, _, n = text.partition(".")
    return KeyId(ref, int(n))

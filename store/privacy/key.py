"""Keys of subjects, and the port to whatever keeps them."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Final, NamedTuple, Protocol

KEY_BYTES: Final = 32
"""Of a key's material: AES-256."""
REF_CHARACTERS: Final = 22
"""Of a subject's `ref`: 16 bytes in base64url."""


class KeyId(NamedTuple):
    """`ref`: whose key it is, as a name that tells nobody who that is. `n`: which of theirs, from 1; the newest seals."""

    ref: str
    n: int


class Key(NamedTuple):
    """`material`: KEY_BYTES random bytes. Whoever has them reads what was sealed by them."""

    id: KeyId
    material: bytes

    def __repr__(self) -> str:
        return f"Key({self.id.ref}.{self.id.n})"   # logs and error reports show what they hold


class Keys(Protocol):
    """What keeps the keys of subjects: a table in the warehouse (`KeyTable`), memory (`MemoryKeys`), or a service of your own.

    A subject is any text, such as a customer's id. Every method may be called from any thread and any process. What it raises goes to the
    caller of the store as it is: derive it from StorageError where trying again can help.
    """

    def ref(self, subject: str) -> str:
        """The name by which tokens say whose they are: REF_CHARACTERS of base64url, always the same, from which nobody else learns the subject."""

    def newest(self, subjects: Collection[str]) -> Mapping[str, Key]:
        """The newest key of each, made where there is none. Durable when it returns, and of two callers at once both get the same.

        A subject whose keys were deleted gets a new one, of a number that none of them had.
        """

    def find(self, ids: Collection[KeyId]) -> Mapping[KeyId, Key]:
        """Those of these keys that are there, as of now: not out of a cache."""

    def rotate(self, subject: str) -> Key:
        """A new key for what comes; the older ones stay, for reading. A subject without keys gets its first one."""

    def delete(self, subject: str) -> int:
        """Delete all keys of the subject for good; how many there were. When it returns nobody can find them any more, nor what they were kept in.

        After an error, delete again: it goes on where it was.
        """

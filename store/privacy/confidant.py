"""What a store does with personal data once it is in the log: reads it where the keys are at hand, and forgets it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final, TypeVar

import pyarrow as pa

from store.draft import check_text
from store.errors import InvalidEventError
from store.limits import MAX_NAME_BYTES, MAX_STREAM_ID_BYTES
from store.privacy.key import KeyId
from store.privacy.keyring import Keyring
from store.privacy.opening import ids_in, open_data, open_table
from store.privacy.token import opened_json, safe_stand_in, tokens

Events = TypeVar("Events", pa.Table, pa.RecordBatch)

Record = Callable[[str, str, str, Mapping[str, Any]], object]
"""Records a deed, durably: its type, by whom, why, and of what."""

_NO_KEYS: Final = "open the store with privacy=types.privacy(keys)"


class Confidant:
    """`store.privacy`. Without keys everything personal reads as redacted, and nobody can be forgotten."""

    def __init__(self, keyring: Keyring | None, record: Record, forgotten: Callable[[str], None]) -> None:
        """`forgotten`: told of the `ref` of a subject whose keys are gone."""
        self.keyring: Final = keyring
        self._record, self._forgotten = record, forgotten

    def open(self, events: Events) -> Events:
        """Events with the values of their tokens in `data`, or what stands for them where the key is not at hand."""
        return self.opened(events)[0]

    def opened(self, events: Events) -> tuple[Events, frozenset[KeyId]]:
        """The same, and the keys of personal data that is in them: those by which it was read; without keys, those by which it could be."""
        ids = ids_in(events)
        if not ids:
            return events, ids
        if self.keyring is None:
            return open_data(events, safe_stand_in), ids
        opened, at_hand = self.keyring.opener(ids)
        return open_data(events, opened), at_hand

    def open_text(self, data: str) -> str:
        """The data of one event, as `open` gives it."""
        if not (ids := {token.id for token in tokens(data)}):
            return data
        return opened_json(data, safe_stand_in if self.keyring is None else self.keyring.opener(ids)[0])

    def holds(self, ids: frozenset[KeyId]) -> bool:
        """Are all of these keys still there? So what was read by them may be shown."""
        return not ids or self.keyring is None or len(self.keyring.find(ids)) == len(ids)

    def decrypt(self, table: pa.Table) -> pa.Table:
        """Rows of anything, such as a read model: each token in a column of strings replaced by its value's text, or by what stands for it.

        InvalidEventError: the store has no keys.
        """
        return open_table(table, self._needed())

    def ref(self, subject: str) -> str:
        """The name by which deeds and tokens call the subject."""
        return self._needed().keys.ref(_checked(subject))

    def forget(self, subject: str, *, by: str, why: str) -> int:
        """Delete the subject's keys, for good: what was sealed by them is unreadable in whatever copy; how many keys there were.

        At once in this process and for whoever asks for the keys anew; other processes may remember them for as long as their `Privacy` says, 60 s
        if nothing else was said. A later event of the subject gets a new key. The deed is in `$audit` (KeyDeleted), by the subject's `ref`. After
        an error do it again. InvalidEventError: the store has no keys, or nobody, or nothing, is named.
        """
        keyring, ref = self._needed(), self.ref(subject)
        _check_named(by, why)
        count = keyring.keys.delete(subject)
        keyring.drop(ref)
        self._forgotten(ref)
        self._record("KeyDeleted", by, why, {"ref": ref, "keys": count})
        return count

    def rotate(self, subject: str, *, by: str, why: str) -> int:
        """A new key for the subject's events to come; its number. What is there stays readable by the old ones. The deed is KeyRotated."""
        keyring, ref = self._needed(), self.ref(subject)
        _check_named(by, why)
        key = keyring.keys.rotate(subject)
        keyring.drop(ref)
        self._record("KeyRotated", by, why, {"ref": ref, "n": key.id.n})
        return key.id.n

    def _needed(self) -> Keyring:
        if self.keyring is None:
            raise InvalidEventError("privacy", None, "was not given to this store", _NO_KEYS)
        return self.keyring


def _checked(subject: str) -> str:
    check_text("subject", subject, MAX_STREAM_ID_BYTES)
    return subject


def _check_named(by: str, why: str) -> None:
    """Before anything is done: what is deleted is deleted, and somebody has to answer for it."""
    for name, said in (("by", by), ("why", why)):
        check_text(name, said, MAX_NAME_BYTES)

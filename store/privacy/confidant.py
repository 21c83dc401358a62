"""What a store does with personal data once it is in the log: reads it where the keys are at hand, and forgets it."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Set
from itertools import chain
from typing import Any, Final, TypeVar

import msgspec
import pyarrow as pa
import pyarrow.compute as pc

from store.deeds import KEY_DELETED, KEY_ROTATED, Deed, check_named, record
from store.draft import check_text, encode_json
from store.errors import InvalidEventError
from store.event import Event, Json
from store.limits import MAX_STREAM_ID_BYTES
from store.privacy.key import KeyId
from store.privacy.keyring import Keyring
from store.privacy.opening import DATA, ids_in, ids_of, may_hold, open_column, open_data, open_table
from store.privacy.sealing import Seals
from store.privacy.token import MARK, Opened, opened_json, safe_stand_in, tokens
from store.privacy.values import hidden, names_of, stand_in, texts_of
from store.submits import Submits

Events = TypeVar("Events", pa.Table, pa.RecordBatch)

_NO_KEYS: Final = "open the store with privacy=types.privacy(keys)"


class Confidant:
    """`store.privacy`. Without keys everything personal reads as redacted, and nobody can be forgotten."""

    def __init__(self, store: Submits, seals: Seals) -> None:
        """The store records the deeds, and forgets with the keys what it remembers."""
        self.keyring: Final = seals.keyring
        self._store, self._seals = store, seals

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
        return opened_json(data, self._opener(ids))

    def sealed(self, events: pa.Table | pa.RecordBatch) -> Any:
        """Which of the events hold something encrypted: a column of bools."""
        return pc.fill_null(pc.match_substring(events.column(DATA), MARK), False)

    def values(self, events: pa.Table | pa.RecordBatch) -> Mapping[int, Set[str]]:
        """By position: the texts and numbers in what of the events is encrypted and can be read here."""
        column = events.column(DATA)
        if self.keyring is None or not may_hold(column):
            return {}
        held = self.sealed(events)
        rows = zip(events.column("position").filter(held).to_pylist(), column.filter(held).to_pylist(), strict=True)
        opened, at_hand = self.keyring.opener(ids_of(column))
        return {position: _texts(opened(token) for token in tokens(text) if token.id in at_hand) for position, text in rows}

    def tells(self, event: Event, values: Set[str]) -> bool:
        """Would one of these values stand in the log, as a value of its own or in a longer text, if this event were appended?"""
        if not values or self._seals.personal_in(event.type, event.schema_version, event.personal) is not None:
            return False                           # what is declared is sealed; what else stands beside it is the application's
        held = [_decoded("data", event.data), {} if event.metadata is None else _decoded("metadata", event.metadata)]
        return stand_in(values, chain(event.tags, *map(texts_of, held), *map(names_of, held)))

    def hidden(self, text: str, values: Set[str]) -> str:
        """A text, such as that of an error, without these values: "[redacted]" stands for each, however JSON or Python wrote it."""
        return hidden(text, values)

    def holds(self, ids: frozenset[KeyId]) -> bool:
        """Are all of these keys still there? So what was read by them may be shown."""
        return not ids or self.keyring is None or len(self.keyring.find(ids)) == len(ids)

    def decrypt(self, table: pa.Table) -> pa.Table:
        """Rows of anything, such as a read model: each token in a column of strings replaced by its value's text, or by what stands for it.

        InvalidEventError: the store has no keys.
        """
        return open_table(table, self._needed())

    def open_texts(self, column: Any) -> Any:
        """The same for one column of Arrow strings; redacted, where there are no keys."""
        return open_column(column, self._opener(ids_of(column)))

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
        check_named(by, why)
        count = keyring.keys.delete(subject)
        keyring.drop(ref)
        self._store.deciding.forget_subject(ref)
        record(self._store, Deed(KEY_DELETED, by, why, {"ref": ref, "keys": count}))
        return count

    def rotate(self, subject: str, *, by: str, why: str) -> int:
        """A new key for the subject's events to come; its number. What is there stays readable by the old ones. The deed is KeyRotated."""
        keyring, ref = self._needed(), self.ref(subject)
        check_named(by, why)
        key = keyring.keys.rotate(subject)
        keyring.drop(ref)
        record(self._store, Deed(KEY_ROTATED, by, why, {"ref": ref, "n": key.id.n}))
        return key.id.n

    def _opener(self, ids: Collection[KeyId]) -> Opened:
        return safe_stand_in if self.keyring is None else self.keyring.opener(ids)[0]

    def _needed(self) -> Keyring:
        if self.keyring is None:
            raise InvalidEventError("privacy", None, "was not given to this store", _NO_KEYS)
        return self.keyring


def _texts(values: Iterable[bytes]) -> Set[str]:
    return {text for value in values for text in texts_of(msgspec.json.decode(value))}


def _decoded(name: str, value: Json) -> Any:
    return msgspec.json.decode(encode_json(name, value))


def _checked(subject: str) -> str:
    check_text("subject", subject, MAX_STREAM_ID_BYTES)
    return subject

"""Personal fields of events on their way into the log: each becomes a token, the JSON around it stays as it is written."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache
from typing import Any, Final, NamedTuple

import msgspec
import pyarrow as pa

from store.draft import Draft, Row, check_size, check_text
from store.errors import InvalidEventError
from store.limits import MAX_STREAM_ID_BYTES
from store.privacy.keyring import Held, Keyring
from store.privacy.opening import may_hold
from store.privacy.personal import Part, Personal
from store.privacy.rules import Rules
from store.privacy.token import ESCAPE, MARK, holds_token, may_hold_token, parse, seal

_ENCODED: Final = lru_cache(4_096)(lambda name: msgspec.json.encode(name) + b":")
"""The names of members are few."""
_MEMBERS: Final = msgspec.json.Decoder(dict[str, msgspec.Raw])
_KEYS: Final = "open the store with privacy=types.privacy(keys)"
_DECLARED: Final = "leave it out, or declare the field it stands in as personal, with the same subject"


class Wanted(NamedTuple):
    """Data to be sealed: by whose key, and what in it."""

    members: dict[str, msgspec.Raw]
    personal: Personal
    subject: str
    marked: bool
    """Does anything in it look like a token?"""


class Seals:
    """What is personal in which events, and the keys to seal it by. `keyring`: None, there are none: then personal events are refused."""

    def __init__(self, rules: Rules, keyring: Keyring | None) -> None:
        self.rules, self.keyring = rules, keyring

    def wanted(self, stream_id: str, shape: tuple[str, int], text: str, said: Personal | None = None) -> Wanted | None:
        """What has to be sealed in the data of an event of this shape; None for nothing. `said`: what the event itself says is personal.

        InvalidEventError: the store has no keys, nobody said what is personal in this version, the subject is missing, or there is a token of
        another subject: whoever can read it here would read there what is not theirs.
        """
        personal = self.personal_in(*shape, said)
        if personal is None:
            if may_hold_token(text) and holds_token(text):
                raise InvalidEventError("data", text, "holds a token of personal data where none was declared", _DECLARED)
            return None
        if self.keyring is None:
            raise InvalidEventError("type", shape[0], "has personal fields, and this store has no keys", _KEYS)
        members = _MEMBERS.decode(text)
        return Wanted(members, personal, subject_of(personal, stream_id, members), may_hold_token(text))

    def personal_in(self, type: str, schema_version: int, said: Personal | None) -> Personal | None:
        """What was declared, or what the event says itself; None for nothing."""
        personal = self.rules.of(type, schema_version)
        if personal is None or not personal.fields:
            personal = said
        return personal if personal is not None and personal.fields else None

    def sealed(self, wanted: Sequence[Wanted]) -> list[str]:
        """The same texts with tokens. Keys are made for new subjects, in one commit."""
        if not wanted:
            return []
        assert self.keyring is not None, "or they would have been refused"
        held = self.keyring.sealing({one.subject for one in wanted})
        return [_sealed(one.members, one.personal.parts, held[one.subject], "data", one.marked).decode() for one in wanted]


def subject_of(personal: Personal, stream_id: str, members: Mapping[str, msgspec.Raw]) -> str:
    """Whose data it is. InvalidEventError: the field is missing, or names nobody."""
    if personal.subject is None:
        return stream_id
    first, *inner = personal.subject.split(".")
    value: Any = msgspec.json.decode(members[first]) if first in members else None
    for name in inner:
        value = value.get(name) if isinstance(value, dict) else None
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value)
    if not isinstance(value, str) or not value:
        remedy = "give the id of whom they tell of: a string or a whole number"
        raise InvalidEventError(f"data.{personal.subject}", value, "names no subject of the personal fields", remedy)
    check_text(f"data.{personal.subject}", value, MAX_STREAM_ID_BYTES)
    return value


def _sealed(members: Mapping[str, msgspec.Raw], parts: Part, held: Held, place: str, marked: bool) -> bytes:
    """Members stay as they were written, numbers of any length, too; of several of one name the last one counts, and the others went.

    InvalidEventError: what is personal stands in something that is no object.
    """
    written = []
    for name, member in members.items():
        if marked and MARK in name:
            raise InvalidEventError(place, f"({len(name):,} characters)", "has a member of that name, with the mark of personal data", "rename it")
        value, part = bytes(member), parts.get(name)
        if part is not None and value != b"null":
            inner = f"{place}.{name}"
            value = _token(value, part, held, inner, marked) if isinstance(part, str) else _inner(value, part, held, inner, marked)
        elif marked and holds_token(value.decode()):
            raise InvalidEventError(f"{place}.{name}", value.decode(), "holds a token of personal data where none was declared", _DECLARED)
        written.append(_ENCODED(name) + value)
    return b"{" + b",".join(written) + b"}"


def _inner(value: bytes, part: Part, held: Held, place: str, marked: bool) -> bytes:
    if not value.startswith(b"{"):
        raise InvalidEventError(place, f"({len(value):,} bytes)", f"is no object, and {', '.join(part)} in it is personal", "give an object, or null")
    return _sealed(_MEMBERS.decode(value), part, held, place, marked)


def _token(value: bytes, redacted: str, held: Held, place: str, marked: bool) -> bytes:
    """A token of the same subject stays: it came here from another event of theirs."""
    if marked and holds_token(value.decode()):
        text = msgspec.json.decode(value)
        if isinstance(text, str) and (token := parse(text)) is not None and token.id.ref == held.key.id.ref:
            return msgspec.json.encode(text)
        raise InvalidEventError(place, f"({len(value):,} bytes)", "is or holds a token of somebody else's personal data", _DECLARED)
    return b'"' + seal(held.cipher, held.key.id, value, redacted).encode() + b'"'


def refuse_tokens(name: str, column: pa.ChunkedArray) -> None:
    """InvalidEventError: a JSON text in this column holds a token where nothing was declared personal."""
    if not may_hold(column, MARK, ESCAPE):
        return
    for text in column.drop_null().to_pylist():
        if may_hold_token(text) and holds_token(text):
            raise InvalidEventError(name, text, "holds a token of personal data where none was declared", _DECLARED)


class Plan(NamedTuple):
    """Drafts, and what in them is to be sealed: the number of the draft and of its row."""

    seals: Seals
    drafts: Sequence[Draft]
    places: Sequence[tuple[int, int]]
    wanted: Sequence[Wanted]

    @property
    def waits(self) -> bool:
        """Must keys be asked for, or made?"""
        keyring = self.seals.keyring
        return keyring is not None and not keyring.has({one.subject for one in self.wanted})

    def carried_out(self) -> Sequence[Draft]:
        """The drafts, sealed. InvalidEventError: an event is too large now."""
        for (number, place), text in zip(self.places, self.seals.sealed(self.wanted), strict=True):
            rows = self.drafts[number].rows
            check_size(text, rows[place][9])
            rows[place] = _with_data(rows[place], text)
        return self.drafts


def planned(seals: Seals, drafts: Sequence[Draft], said: Iterable[Sequence[Personal | None]]) -> Plan:
    """What is to be done to these drafts. `said`: of each draft, what its events themselves say is personal."""
    places, wanted = [], []
    for number, (draft, own) in enumerate(zip(drafts, said, strict=True)):
        for place in range(len(own)) if seals.rules else _suspects(draft, own):
            row = draft.rows[place]
            try:
                found = seals.wanted(draft.stream_id, (row[2], row[3]), row[8], own[place])
            except InvalidEventError as error:
                error.of_stream(draft.stream_id).correlation_id = row[5]
                raise
            if found is not None:
                places.append((number, place))
                wanted.append(found)
    return Plan(seals, drafts, places, wanted)


def _suspects(draft: Draft, own: Sequence[Personal | None]) -> Sequence[int]:
    """The rows that may have something personal to them where no type declares it."""
    if not any(own) and not may_hold_token("".join([row[8] for row in draft.rows])):       # at once: one by one costs a tenth of an append
        return ()
    return [place for place, row in enumerate(draft.rows) if own[place] is not None or may_hold_token(row[8])]


def _with_data(row: Row, text: str) -> Row:
    return (*row[:8], text, row[9])



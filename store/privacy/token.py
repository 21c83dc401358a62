"""Tokens: what stands in the log in the place of a personal value, and all that is needed to find and to open it in any text.

    $personal:<ref>.<n>:<sealed>[:<redacted>]

`ref` and `n` name the key; `sealed` is a nonce, the value's JSON encrypted by AES-256-GCM, and what authenticates it together with the rest of the
token, in base64url. `redacted` is the JSON that stands for the value where the key is not at hand, in base64url too; left out where it is
DEFAULT. With a `!` before it the field cannot hold text, so that a reader without keys must not be given the token in its place.
"""

from __future__ import annotations

import os
import re
from binascii import a2b_base64, b2a_base64
from collections.abc import Callable, Iterator
from typing import Final, NamedTuple

import msgspec
import orjson
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from store.privacy.key import KeyId

MARK: Final = "$personal:"
"""With it every token begins, and few other texts."""
ESCAPE: Final = "\\u"
"""With it JSON writes a character by its number."""
DEFAULT: Final = "[redacted]"
"""What stands for a value where nothing else was said."""

NONCE_BYTES: Final = 12
_NAME: Final = r"\$personal:([A-Za-z0-9_-]{22})\.([1-9][0-9]{0,9})"
_TOKEN: Final = _NAME + r":([A-Za-z0-9_-]{39,})(?::(!?[A-Za-z0-9_-]+))?"
_IDS: Final = re.compile(_NAME + ":[A-Za-z0-9_-]{39}")
_ANYWHERE: Final = re.compile(_TOKEN)
_WITHOUT_TEXT: Final = re.compile(r'"(\$personal:[A-Za-z0-9_-]{22}\.[1-9][0-9]{0,9}:[A-Za-z0-9_-]{39,}:![A-Za-z0-9_-]+)"')


class Token(NamedTuple):
    """A token in its parts. `redacted`: as it is written, with its `!`; empty for the default."""

    id: KeyId
    sealed: str
    redacted: str

    @property
    def stand_in(self) -> bytes:
        """The JSON that stands for the value. ValueError: somebody changed it."""
        return unwritten(self.redacted.removeprefix("!")) if self.redacted else _DEFAULT_JSON

    @property
    def holds_text(self) -> bool:
        """Can the field hold this token as its value?"""
        return not self.redacted.startswith("!")


Opened = Callable[[Token], bytes]
"""A token -> the JSON of its value, or what stands for it."""


def seal(cipher: AESGCM, id: KeyId, value: bytes, redacted: str) -> str:
    """The token of a value, given as JSON; `redacted`: see `redacted_part`."""
    nonce = os.urandom(NONCE_BYTES)
    sealed = written(nonce + cipher.encrypt(nonce, value, _bound(id, redacted)))
    return f"{MARK}{id.ref}.{id.n}:{sealed}:{redacted}" if redacted else f"{MARK}{id.ref}.{id.n}:{sealed}"


def unseal(cipher: AESGCM, token: Token) -> bytes | None:
    """The JSON of the value; None: it is not authentic, of another key or changed by somebody."""
    try:
        sealed = unwritten(token.sealed)
        return cipher.decrypt(sealed[:NONCE_BYTES], sealed[NONCE_BYTES:], _bound(token.id, token.redacted))
    except (InvalidTag, ValueError):
        return None


def redacted_part(stand_in: object, holds_text: bool) -> str:
    """How a token says what stands for its value."""
    if holds_text and stand_in == DEFAULT:
        return ""
    return ("" if holds_text else "!") + written(orjson.dumps(stand_in))


def parse(text: str) -> Token | None:
    """The token that this text is; None: it is none."""
    found = _ANYWHERE.fullmatch(text)
    return None if found is None else _token(found.groups())


def tokens(text: str) -> Iterator[Token]:
    """Those that stand anywhere in a text."""
    return (_token(found) for found in _ANYWHERE.findall(text)) if MARK in text else iter(())


def may_hold_token(text: str) -> bool:
    """Quick: of JSON text without both no token can be read, and only with the escape can one be read that does not stand there as it is."""
    return MARK in text or ESCAPE in text


def holds_token(text: str) -> bool:
    """Does JSON text hold a token, be it in a name, or behind escapes? Whoever reads it with keys would open it."""
    if ESCAPE in text:
        text = msgspec.json.encode(msgspec.json.decode(text)).decode()
    return MARK in text and _ANYWHERE.search(text) is not None


def opened_json(text: str, opened: Opened) -> str:
    """JSON text with its tokens replaced: a string that is one, by the JSON of its value; one in a longer string, by the value's text."""
    parts, done = list[str](), 0
    for found in _ANYWHERE.finditer(text):         # by hand: a pattern that begins with the quote is searched for letter by letter
        start, end = found.span()
        value = opened(_token(found.groups()))
        if text[start - 1 : start] == text[end : end + 1] == '"' and text[start - 2 : start - 1] != "\\":
            parts += text[done : start - 1], value.decode()
            done = end + 1
        else:
            parts += text[done:start], orjson.dumps(_text(value)).decode()[1:-1]
            done = end
    return "".join((*parts, text[done:]))


def opened_text(text: str, opened: Opened) -> str:
    """Any text with its tokens replaced; text of a JSON object or array as `opened_json` does, else each by the value's text."""
    if text[:1] in ("{", "["):
        return opened_json(text, opened)
    return _ANYWHERE.sub(lambda found: _text(opened(_token(found.groups()))), text)


def redact_textless(text: str) -> str:
    """JSON text in which only those tokens are replaced that the class of the event could not read, by what stands for them."""
    return _WITHOUT_TEXT.sub(lambda found: _stand_in(found[1]), text) if ":!" in text and MARK in text else text


def ids_in(text: str) -> set[KeyId]:
    """The keys of the tokens in a text."""
    return {KeyId(ref, int(n)) for ref, n in set(_IDS.findall(text))} if MARK in text else set()


def written(raw: bytes) -> str:
    """In base64url; by hand, as the library takes three times as long."""
    return b2a_base64(raw, newline=False).rstrip(b"=").translate(_TO_URL).decode()


def unwritten(text: str) -> bytes:
    """ValueError: it is no base64url."""
    return a2b_base64(text.encode().translate(_FROM_URL) + b"==="[: -len(text) % 4])


_TO_URL: Final = bytes.maketrans(b"+/", b"-_")
_FROM_URL: Final = bytes.maketrans(b"-_", b"+/")
_DEFAULT_JSON: Final = orjson.dumps(DEFAULT)


def _token(groups: tuple[str | None, ...]) -> Token:
    ref, n, sealed, redacted = groups
    return Token(KeyId(str(ref), int(n or 0)), str(sealed), redacted or "")


def _stand_in(text: str) -> str:
    token = parse(text)
    assert token is not None, "the one pattern is part of the other"
    return safe_stand_in(token).decode()


def safe_stand_in(token: Token) -> bytes:
    """What stands for the value, or null where somebody changed that."""
    try:
        stand_in = token.stand_in
        orjson.loads(stand_in)
    except ValueError:
        return b"null"
    return stand_in


def _text(value: bytes) -> str:
    """Of a JSON value: a string's own text, else the JSON."""
    return str(orjson.loads(value)) if value.startswith(b'"') else value.decode()


def _bound(id: KeyId, redacted: str) -> bytes:
    """What a token's value cannot be taken from without being noticed."""
    return f"{id.ref}.{id.n}:{redacted}".encode()

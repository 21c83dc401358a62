"""The messages of Flight SQL that a query takes, as bytes: an envelope that says what is in it, and texts in numbered fields.

By hand, because none of the generated packages is kept up, and of the whole protocol this needs strings alone.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Final

_PREFIX: Final = "type.googleapis.com/arrow.flight.protocol.sql."
_TEXT: Final = 2
"""The kind of a field that begins with its length."""


class MessageError(ValueError):
    """It is no message of Flight SQL."""


def decoded(body: bytes) -> tuple[str, Mapping[int, bytes]]:
    """What kind of message is in the envelope, without its prefix, and its fields. MessageError: it is none."""
    envelope = fields(body)
    try:
        kind = envelope.get(1, b"").decode()
    except UnicodeDecodeError as error:
        raise MessageError("the name of the message is no text") from error
    if not kind.startswith(_PREFIX):
        raise MessageError(f"{kind[:100]!r} is no message of Flight SQL")
    return kind.removeprefix(_PREFIX), fields(envelope.get(2, b""))


def encoded(kind: str, message: Mapping[int, bytes]) -> bytes:
    """The envelope around a message of these fields."""
    return _written({1: f"{_PREFIX}{kind}".encode(), 2: _written(message)})


def fields(body: bytes) -> Mapping[int, bytes]:
    """Those that are texts or messages, by number; the last of each number, as the protocol has it."""
    return {number: value for number, value in _read(body) if value is not None}


def _read(body: bytes) -> Iterator[tuple[int, bytes | None]]:
    at = 0
    while at < len(body):
        tag, at = _varint(body, at)
        number, kind = tag >> 3, tag & 7
        if kind == _TEXT:
            size, at = _varint(body, at)
            value, at = body[at : at + size], at + size
            if at > len(body):
                raise MessageError("it ends within a field")
            yield number, value
        elif kind == 0:
            _, at = _varint(body, at)
            yield number, None
        else:
            raise MessageError(f"a field of kind {kind} is in no message that is known here")


def _varint(body: bytes, at: int) -> tuple[int, int]:
    value = shift = 0
    while at < len(body) and shift < 64:
        value |= (body[at] & 0x7F) << shift
        at, shift = at + 1, shift + 7
        if body[at - 1] < 0x80:
            return value, at
    raise MessageError("a number in it does not end")


def _written(message: Mapping[int, bytes]) -> bytes:
    return b"".join(_number(number << 3 | _TEXT) + _number(len(value)) + value for number, value in message.items())


def _number(value: int) -> bytes:
    written = bytearray()
    while value > 0x7F:
        written.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*written, value])

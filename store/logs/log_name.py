"""The names of logs: each tells which shards the log holds, and so which streams.

`h` holds all streams, `h3` those whose hash begins with 3, `h4-7` those whose hash begins with 4 to 7.
"""

from __future__ import annotations

import re
from typing import Final, NamedTuple, Self

from store.errors import InvalidEventError
from store.shard import MAX_DEPTH, ROOT, stream_hash
from store.storage.places import join

_NAME: Final = re.compile(rf"h([0-9a-f]{{0,{MAX_DEPTH}}})(?:-([0-9a-f]{{1,{MAX_DEPTH}}}))?").fullmatch


class LogName(NamedTuple):
    """From the first to the last of the prefixes, which are equally long."""

    first: str
    last: str

    @classmethod
    def parse(cls, text: object) -> Self:
        """InvalidEventError: it names no log."""
        found = _NAME(text) if isinstance(text, str) else None
        if found is None or len(found[1]) != len(found[2] or found[1]) or found[1] > (found[2] or found[1]):
            raise InvalidEventError("log", text, "is no name of a log", "write h, h3 or h4-7")
        return cls(found[1], found[2] or found[1])

    def __str__(self) -> str:
        return f"{ROOT}{self.first}" if self.first == self.last else f"{ROOT}{self.first}-{self.last}"

    def holds(self, stream_id: str) -> bool:
        return self.holds_hash(stream_hash(stream_id))

    def holds_hash(self, digits: str) -> bool:
        """The same by the stream's hash, which many names are asked about."""
        return self.first <= digits[: len(self.first)] <= self.last

    def meets(self, shard: str) -> bool:
        """Has it streams of this shard?"""
        digits = min(len(self.first), len(shard) - 1)
        return self.first[:digits] <= shard[1 : digits + 1] <= self.last[:digits]

    def split(self, into: int) -> list[LogName]:
        """The names of that many logs that hold the same streams together. InvalidEventError: there is no such number of equal parts."""
        digits, count = len(self.first), _whole(self.last) - _whole(self.first) + 1
        parts = into if type(into) is int else 0
        while count < parts and digits < MAX_DEPTH:
            digits, count = digits + 1, 16 * count
        if parts < 2 or count % parts:
            raise InvalidEventError("into", into, f"is no number of equal parts of the log {self}", "give a power of two, such as 4 or 16")
        begin = _whole(self.first) << 4 * (digits - len(self.first))
        size = count // parts
        return [LogName(_text(at, digits), _text(at + size - 1, digits)) for at in range(begin, begin + count, size)]

    def uri(self, warehouse: str) -> str:
        """Where its table is."""
        return join(warehouse, "events") if not self.first else join(warehouse, f"logs/{self}/events")


WHOLE: Final = LogName("", "")
"""The log that a warehouse begins with."""


def _whole(prefix: str) -> int:
    return int(prefix or "0", 16)


def _text(prefix: int, digits: int) -> str:
    return f"{prefix:0{digits}x}" if digits else ""

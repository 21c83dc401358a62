"""What is said of single streams, be they millions: a value, of which a new one shares nearly all."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Final, TypeVar, overload

from rpds import HashTrieMap

from store.retention.terms import Terms

FEW: Final = 1_000
"""So many streams of which something was said of late are kept apart at least: the others are copied when there are more."""
SHARE: Final = 4
"""Or so great a part of all: copying them costs each the same, however many there are."""

T = TypeVar("T")


class TermsByStream(Mapping[str, Terms]):
    """Those of long ago in a dict, which is quick to walk and to make; those of late in a map that shares, which is quick to change."""

    __slots__ = ("_old", "_recent")

    def __init__(self, old: dict[str, Terms] | None = None, recent: HashTrieMap[str, Terms] | None = None) -> None:
        """`old` is taken over: nobody may change it afterwards."""
        self._old: dict[str, Terms] = {} if old is None else old
        self._recent: HashTrieMap[str, Terms] = HashTrieMap() if recent is None else recent

    def updated(self, streams: Mapping[str, Terms]) -> TermsByStream:
        if len(self._recent) + len(streams) > max(FEW, len(self._old) // SHARE):
            return TermsByStream({**self._old, **self._recent, **streams})
        return TermsByStream(self._old, self._recent.update(streams))

    @overload
    def get(self, key: str, /) -> Terms | None: ...
    @overload
    def get(self, key: str, default: Terms | T, /) -> Terms | T: ...
    def get(self, key: str, default: object = None, /) -> object:
        found = self._recent.get(key)
        return self._old.get(key, default) if found is None else found

    def __getitem__(self, key: str) -> Terms:
        found = self._recent.get(key)
        return self._old[key] if found is None else found

    def __contains__(self, key: object) -> bool:
        return key in self._old or key in self._recent

    def __iter__(self) -> Iterator[str]:
        yield from self._old
        yield from (key for key in self._recent if key not in self._old)

    def __len__(self) -> int:
        return len(self._old) + sum(key not in self._old for key in self._recent)

    def __bool__(self) -> bool:
        return bool(self._old) or bool(self._recent)

    def whole(self) -> Mapping[str, Terms]:
        """The same, to be walked quickly."""
        return {**self._old, **self._recent} if self._recent else self._old

"""How far a build has got that is filled shard by shard: its rows wait beside it, until one commit publishes those of all shards."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Final, Self

SHARDS: Final = tuple(f"h{digit:x}" for digit in range(16))
"""Fixed, whatever the leaves of the log are just now."""
FILLING: Final = "alluvium.filling"
"""The mark that tells of it."""


@dataclass(frozen=True, slots=True)
class Filling:
    """`until`: the position up to which every shard is folded. `done`: the shards whose rows are there. `published`: as the build's rows."""

    until: int
    done: tuple[str, ...] = ()
    published: bool = False

    @property
    def left(self) -> tuple[str, ...]:
        """Those that are still to be filled."""
        return tuple(shard for shard in SHARDS if shard not in self.done)

    def further(self, shards: Iterable[str]) -> Self:
        return replace(self, done=tuple(sorted({*self.done, *shards})))

    def mark(self) -> dict[str, str]:
        """As it stands in a table's configuration."""
        return {FILLING: json.dumps({"until": self.until, "done": self.done, "published": self.published})}

    def __str__(self) -> str:
        return f"{len(self.done)} of {len(SHARDS)} shards are filled up to position {self.until}{', and published' if self.published else ''}"


def filling_of(marks: Mapping[str, str]) -> Filling | None:
    """None: it is not filled by shard."""
    if (told := marks.get(FILLING)) is None:
        return None
    said = json.loads(told)
    return Filling(said["until"], tuple(said["done"]), said["published"])


def without_filling(marks: Mapping[str, str]) -> dict[str, str]:
    return {name: value for name, value in marks.items() if name != FILLING}

"""How far a build has got that is filled shard by shard: in its own commits, until the last of them moves the checkpoint."""

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
    """`until`: the position up to which every shard is folded. `done`: the shards whose events up to there are in the rows."""

    until: int
    done: tuple[str, ...] = ()

    @property
    def left(self) -> tuple[str, ...]:
        """Those that are still to be filled."""
        return tuple(shard for shard in SHARDS if shard not in self.done)

    def further(self, shards: Iterable[str]) -> Self:
        return replace(self, done=tuple(sorted({*self.done, *shards})))

    def mark(self) -> dict[str, str]:
        """As it stands in a table's configuration; nothing, once all shards are done."""
        return {FILLING: json.dumps({"until": self.until, "done": self.done})} if self.left else {}

    def __str__(self) -> str:
        return f"{len(self.done)} of {len(SHARDS)} shards are filled up to position {self.until}"


def filling_of(marks: Mapping[str, str]) -> Filling | None:
    """None: it is not filled by shard, or that is over."""
    if (told := marks.get(FILLING)) is None:
        return None
    said = json.loads(told)
    return Filling(said["until"], tuple(said["done"]))


def without_filling(marks: Mapping[str, str]) -> dict[str, str]:
    return {name: value for name, value in marks.items() if name != FILLING}

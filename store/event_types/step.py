"""One step from an old shape of data to a newer one: a pure function, and where it leads."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

Data = Mapping[str, Any]
"""The data of one event, as JSON decodes it. A step gets a dict of its own and may change it."""

Change = Callable[[dict[str, Any]], Data]

Shaped = tuple[str, int, Data]
"""(type, schema version, data)"""

ShapeName = tuple[str, int]
"""(type, schema version)"""


@dataclass(frozen=True, slots=True)
class Upcast:
    """Data of `version` becomes data of the next version of the same type."""

    type: str
    version: int
    change: Change

    @property
    def targets(self) -> tuple[ShapeName, ...]:
        return ((self.type, self.version + 1),)

    def taken(self, data: dict[str, Any]) -> Iterable[Shaped]:
        return [(self.type, self.version + 1, self.change(data))]


@dataclass(frozen=True, slots=True)
class Rename:
    """Events of `type` at `version` are events of type `to` at `to_version`. `change`: of the data, if it changes too."""

    type: str
    version: int
    change: Change | None = None
    to: str = field(kw_only=True)
    to_version: int = field(default=1, kw_only=True)

    @property
    def targets(self) -> tuple[ShapeName, ...]:
        return ((self.to, self.to_version),)

    def taken(self, data: dict[str, Any]) -> Iterable[Shaped]:
        return [(self.to, self.to_version, data if self.change is None else self.change(data))]


@dataclass(frozen=True, slots=True)
class Split:
    """One event becomes several, in order (or none); `into` declares every (type, schema version) that may come of it."""

    type: str
    version: int
    change: Callable[[dict[str, Any]], Iterable[Shaped]]
    into: tuple[ShapeName, ...] = field(kw_only=True)

    @property
    def targets(self) -> tuple[ShapeName, ...]:
        return self.into

    def taken(self, data: dict[str, Any]) -> Iterable[Shaped]:
        return self.change(data)


Step = Upcast | Rename | Split

"""Why a read model does not go on: somebody paused it, or a runner met what it could not apply."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final, Self

PAUSED: Final = "paused"
HALTED: Final = "halted"


@dataclass(frozen=True, slots=True)
class Hold:
    """`kind`: "paused", until it is resumed; or "halted", until a run gets on. `since`: in UTC. `why`: for people."""

    kind: str
    since: datetime
    why: str

    @classmethod
    def now(cls, kind: str, why: str) -> Self:
        return cls(kind, datetime.now(UTC), why)

    def mark(self) -> dict[str, str]:
        """As it stands in a table's configuration."""
        return {f"alluvium.{self.kind}": json.dumps({"since": self.since.isoformat(), "why": self.why})}


def hold_of(marks: Mapping[str, str]) -> Hold | None:
    """The pause before the halt: it is the one that somebody has to end."""
    for kind in (PAUSED, HALTED):
        if (told := marks.get(f"alluvium.{kind}")) is not None:
            said = json.loads(told)
            return Hold(kind, datetime.fromisoformat(said["since"]), said["why"])
    return None


def without_hold(marks: Mapping[str, str], kind: str) -> dict[str, str]:
    return {name: value for name, value in marks.items() if name != f"alluvium.{kind}"}

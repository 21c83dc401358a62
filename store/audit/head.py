"""What is published of a log, so that anybody can tell later whether it is still what it was: one line."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final, Self

from store.audit.ledger import Commit
from store.errors import InvalidEventError

_LINE: Final = re.compile(r"alluvium-head (\S+) ([0-9]+) ([0-9a-f]{64}) (-?[0-9]+) ([0-9a-f]{64}|-) (\S+)").fullmatch


@dataclass(frozen=True, slots=True)
class PublishedHead:
    """`log`: its id. `position`: up to where its newest link speaks of it; `link`: that link's digest; `attested_at`: when it was recorded.

    `commit`: the newest one when this head was made.
    """

    log: str
    position: int
    link: str
    commit: Commit
    attested_at: datetime

    def __str__(self) -> str:
        at = self.attested_at.astimezone(UTC).isoformat().replace("+00:00", "Z")
        return f"alluvium-head {self.log} {self.position} {self.link} {self.commit.version} {self.commit.sha256 or '-'} {at}"

    @classmethod
    def parse(cls, line: str) -> Self:
        """InvalidEventError: it is no such line."""
        found = _LINE(line.strip()) if isinstance(line, str) else None
        try:
            if found is not None:
                at = datetime.fromisoformat(found[6])
                if at.tzinfo is not None:
                    return cls(found[1], int(found[2]), found[3], Commit(int(found[4]), found[5].strip("-")), at)
        except ValueError:
            pass
        raise InvalidEventError("head", line, "is no published head", "give the whole line, from `alluvium-head` to the time")

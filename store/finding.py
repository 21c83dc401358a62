"""What a check of the log found, and what to do about it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

RESTORE: Final = "restore it from a backup"
REPAIR: Final = "run repair"


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that is not as it should be.

    `where`: a file, a commit or positions. `damage`: readers are led astray or refused; False: a note, all events are safe.
    `superfluous`: files that repair may move aside; of damage they are the whole of it, and without them it needs a backup.
    """

    problem: str
    where: str
    remedy: str
    damage: bool = True
    superfluous: tuple[str, ...] = ()

    @property
    def mendable(self) -> bool:
        return bool(self.superfluous)

    def __str__(self) -> str:
        return f"{'damage' if self.damage else 'note'}: {self.where}: {self.problem}; {self.remedy}"


@dataclass(frozen=True, slots=True)
class Verified:
    """What `verify` looked at (live files, their events and bytes, as of a Delta version) and what it found, worst first."""

    version: int
    files: int
    events: int
    data_bytes: int
    seconds: float
    findings: Sequence[Finding]
    logs: Sequence[str] = ()
    """Those that go on where this one has ended."""

    @property
    def sound(self) -> bool:
        """No damage. Notes do not count: a running writer makes some, and a crash leaves some."""
        return not self.damage

    @property
    def damage(self) -> list[Finding]:
        return [finding for finding in self.findings if finding.damage]

    @property
    def notes(self) -> list[Finding]:
        return [finding for finding in self.findings if not finding.damage]

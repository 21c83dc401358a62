"""What `$retention` says of one stream, and what follows from it: which versions are hidden, and what can be expected of it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

from store.errors import InvalidEventError
from store.expected import Expected, ExpectedVersion, holds
from store.retention.rule import EVERYTHING, Rule

VersionBy = Callable[[int], int]
"""A moment in microseconds -> the version that the stream had by then."""


class Terms(NamedTuple):
    """`truncated`: versions up to it are hidden for good, of a tombstoned stream all. `deletions`: the versions at which it was deleted; it goes on
    behind the last of them. `position`: of the last event that said what is hidden.
    """

    rule: Rule = EVERYTHING
    truncated: int = 0
    deletions: tuple[int, ...] = ()
    tombstoned: bool = False
    closed: bool = False
    position: int = 0

    @property
    def deleted(self) -> int:
        """The version at which it was last deleted; 0: it never was."""
        return self.deletions[-1] if self.deletions else 0

    @property
    def ended(self) -> bool:
        """Does it take no more events?"""
        return self.tombstoned or self.closed

    @property
    def floor(self) -> int:
        """Versions up to it are hidden whatever comes."""
        return max(self.truncated, self.deleted)

    def gone(self, version: int) -> bool:
        """Does the stream read as if it did not exist? `version`: that of its last event."""
        return self.tombstoned or 0 < self.deleted == version

    def hidden(self, version: int, version_by: VersionBy, now: int) -> int:
        """Versions up to this one are hidden. Without a rule it is the floor, whatever the stream's version is."""
        if self.gone(version):
            return version
        hidden = self.floor
        if self.rule.max_count is not None:
            hidden = max(hidden, version - self.rule.max_count)
        if self.rule.max_age_us is not None:
            hidden = max(hidden, version_by(now - self.rule.max_age_us))
        return min(hidden, version)

    def outdates(self, position: int) -> bool:
        """May a state that was saved when the stream's last event had that position have seen what is hidden now?

        Whoever has read an event past the one that hides has heard of that one before.
        """
        return bool(self.rule) or position <= self.position

    def holds(self, expected: ExpectedVersion, version: int) -> bool:
        """Is the stream what was expected? One that was deleted does not exist, and can still be named by its last version."""
        if not self.gone(version):
            return holds(expected, version)
        if expected is Expected.STREAM_EXISTS:
            return False
        return expected is Expected.ANY or expected == 0 or (expected == version and not self.tombstoned)


NOTHING = Terms()
"""Nothing is said of it."""


class Window(NamedTuple):
    """Of a stream one sees the versions in (hidden, version]. `version`: 0 of one that reads as if it did not exist.

    `changed`: the position of the last event that said so; 0: there is none.
    """

    version: int
    hidden: int = 0
    changed: int = 0


@dataclass(frozen=True, slots=True)
class Held:
    """What holds of a stream now. `version`: of its last event, hidden or not. `hidden`: versions up to it are not shown.

    `rule`: its own, or that of its category.
    """

    stream_id: str
    version: int
    hidden: int
    rule: Rule
    deleted: bool
    tombstoned: bool
    closed: bool


def held(stream_id: str, terms: Terms, version: int, hidden: int) -> Held:
    deleted = terms.gone(version) and not terms.tombstoned
    return Held(stream_id, version, hidden, terms.rule, deleted, terms.tombstoned, terms.closed)


def check_before(before: object, version: int) -> None:
    """InvalidEventError: nobody can truncate a stream there."""
    if not isinstance(before, int) or isinstance(before, bool) or not 1 <= before <= version + 1:
        problem = f"is no version of a stream at {version}"
        raise InvalidEventError("before", before, problem, f"give a number from 1 to {version + 1}: the first version that is to be kept")

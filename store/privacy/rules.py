"""What is personal in which shapes of which types."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Final

from store.errors import InvalidEventError
from store.privacy.personal import Personal

Said = Mapping[tuple[str, int], Personal]
"""(type, schema_version) -> its personal fields."""


class Rules:
    """`said`: of each shape that is known. A type of which anything is said must be spoken of in every version that is appended; so must
    the types that are `unsaid`."""

    def __init__(self, said: Said | None = None, unsaid: Collection[str] = ()) -> None:
        self.said: Final[Said] = dict(said or {})
        self._types = {*(name for name, _ in self.said), *unsaid}

    def __bool__(self) -> bool:
        return bool(self.said)

    def of(self, type: str, schema_version: int) -> Personal | None:
        """None: nothing is personal in it. InvalidEventError: nobody has said what is personal in this version."""
        if type not in self._types:
            return None
        personal = self.said.get((type, schema_version))
        if personal is None:
            problem = f"of {type} is one of which nobody said what is personal, and in others, or in what it is read as, there is something"
            remedy = "say it by EventType(earlier_personal=…), or append the current version"
            raise InvalidEventError("schema_version", schema_version, problem, remedy)
        return personal

    def united(self, other: Rules) -> Rules:
        """Both; of a shape of which both speak, this one counts."""
        return Rules({**other.said, **self.said}, self._types | other._types)

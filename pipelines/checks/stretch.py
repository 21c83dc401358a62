"""Which part of the log a check looks at: what came since its last verdict, or all of it."""

from __future__ import annotations

from typing import Any, NamedTuple, Self

from pipelines.checks.check import Look


class Stretch(NamedTuple):
    """The positions in (after, until]. `head`: of the log. `by`: what the check is about, beside the log; if that changes it begins anew."""

    after: int
    until: int
    head: int
    by: str

    @classmethod
    def of(cls, look: Look, by: str) -> Self:
        head = look.store.head()
        if look.most is None:
            return cls(0, head, head, by)
        good_until = look.last.get("good_until", 0)
        after = good_until if look.last.get("by") == by and good_until <= head else 0
        return cls(after, min(after + look.most, head), head, by)

    def told(self, first_failing: int | None) -> dict[str, Any]:
        """Metadata, from which the next look goes on; before the first event that fails, if one does, so that it fails until it is mended."""
        good_until = self.until if first_failing is None else max(0, first_failing - 1)
        told = {"events_checked": self.until - self.after, "after": self.after, "left": self.head - self.until}
        return {**told, "good_until": good_until, "by": self.by}

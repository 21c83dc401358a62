"""Somebody who must follow a log but needs nothing of it."""

from __future__ import annotations

from store.delta.actions import Commit


class Deaf:
    """Follows nothing."""

    def applied(self, commit: Commit) -> None: ...

    def restarted(self, head: int) -> None: ...

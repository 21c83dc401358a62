"""What this process remembers of what events say: it forgets it when it hears that some of them say less."""

from __future__ import annotations

from collections.abc import Callable

from store.delta.commits import Commit


class Recollection:
    """Follows the log. Whoever remembers payloads, or what was made of them, has a way to forget them here.

    What is read while it happens may be old: a memory takes it only if it was told to forget nothing since the read began.
    """

    def __init__(self) -> None:
        self._forgets: list[Callable[[], None]] = []

    def add(self, forget: Callable[[], None]) -> None:
        """Called under the log's lock: it must ask nothing of the log."""
        self._forgets.append(forget)

    def applied(self, commit: Commit) -> None:
        if commit.erases:
            self._forget()

    def restarted(self, head: int) -> None:
        """Any commit may have gone by unheard."""
        self._forget()

    def _forget(self) -> None:
        for forget in self._forgets:
            forget()

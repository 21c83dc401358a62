"""The newest policy of a log: it follows the stream `$retention`, which most logs do not have."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import pyarrow as pa

from store.delta.commits import Commit
from store.delta.saved_policy import SavedPolicy
from store.retention.policy import RETENTION, Policy, said_in

FOLDED_AGAIN: Final = 16
"""Such a part of what is saved may be said since before it is saved anew."""

ReadSince = Callable[[int, int], pa.Table]
"""(version, position) -> the events of `$retention` past that version, none of which lies before that position: position, type, data."""


class Policies:
    """Follows a log. Ask it under the log's lock: what it answers is of the newest commit known, whoever made that."""

    def __init__(self, read: ReadSince, head: Callable[[], int], saved: Callable[[int], SavedPolicy | None]) -> None:
        """`head`: that of the log, as far as it is known. `saved`: what was folded of it before, if it is worth while to look."""
        self._read, self._head, self._saved = read, head, saved
        self._policy = Policy()
        self._version = self._searched = 0
        self._behind = True
        self.saved_version = 0
        """That of `$retention` in what was saved last, as far as is known here."""

    def newest(self) -> Policy:
        """The log may be known further afterwards: a read that misses a file looks at it again."""
        while self._behind:
            self._behind, head = False, self._head()         # before it is read: what is heard of meanwhile must not be forgotten
            try:
                if not self._searched and (saved := self._saved(head)) is not None:
                    self._policy, self._version, self._searched = saved
                    self.saved_version = saved.version
                events = self._read(self._version, self._searched + 1)
            except BaseException:
                self._behind = True
                raise
            if len(events):
                self._policy = self._policy.after(said_in(events))
            self._version, self._searched = self._version + len(events), head
        return self._policy

    def due(self, head: int) -> SavedPolicy | None:
        """What is to be saved, if no event past that position is in it; None: hardly more than is saved already, so that to fold it costs less."""
        folded = SavedPolicy(self.newest(), self._version, self._searched)
        return folded if folded.searched <= head and folded.version > self.saved_version + self.saved_version // FOLDED_AGAIN else None

    def applied(self, commit: Commit) -> None:
        if commit.appends and (commit.heads is None or RETENTION in commit.heads):
            self._behind = True

    def committed(self, policy: Policy, said: int, head: int) -> None:
        """A commit of ours that said so much, up to the log's head."""
        self._policy, self._version, self._searched = policy, self._version + said, head

    def restarted(self, head: int) -> None:
        self._behind = True

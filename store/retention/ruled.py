"""A log as retention needs it."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Sequence
from typing import NamedTuple, Protocol

from store.retention.archived import Archived
from store.retention.policy import Policy
from store.retention.standing import Standing
from store.rewrite import Extent, Rewrite, Rewrites
from store.submits import Submits
from store.times import Clock


class Rewritable(Rewrites, Protocol):
    """Events that can be rewritten, and moved to colder files."""

    def worn(self, what: Rewrite, share: float) -> Sequence[Extent] | None:
        """The files of which at least such a share of the rows would be rewritten; None: there are no files."""

    def archive(self, streams: Collection[str], share: float, dry_run: bool) -> Iterable[Archived]:
        """Those of these streams, file by file, as it is asked for."""


class Ruled(NamedTuple):
    """A log as retention sees it. `log`: itself, to which alone it is said what it keeps. `check`: CrossLogError where it can be given no rules.
    `refresh`: hear of what others committed. `policy`, `standing`, `head`, `versions`, of streams, hidden or not: as far as was heard. `now`: in
    microseconds. `log_id`: as the audit calls it. `check_access`: AccessDeniedError where these credentials may take nothing out of it: upkeep
    would take out for them what they hide.
    """

    log: Submits
    check: Callable[[], object]
    refresh: Callable[[], object]
    policy: Callable[[], Policy]
    standing: Callable[[str], Standing]
    now: Clock
    events: Rewritable
    log_id: Callable[[], str]
    head: Callable[[], int]
    versions: Callable[[Sequence[str]], Sequence[int]]
    check_access: Callable[[], object] = lambda: None

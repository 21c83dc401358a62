"""The state that a log's commits lead to, for one who does not trust them: contradictions are noted, not refused."""

from __future__ import annotations

from dataclasses import dataclass, field

from store.delta.actions import Segment
from store.delta.commits import Commit
from store.finding import RESTORE, Finding


@dataclass(slots=True)
class LogState:
    """The log after commit `version`: what is live, and every file that a commit or checkpoint still there took away.

    `broken`: it could not be followed to its end, so that nothing can be said of files and their contents.
    """

    version: int = -1
    head: int = 0
    recorded_at: int = 0
    live: dict[str, Segment] = field(default_factory=dict)
    gone: set[str] = field(default_factory=set)
    findings: list[Finding] = field(default_factory=list)
    broken: bool = False
    logs: tuple[str, ...] = ()
    """Those that go on where this one has ended."""

    def take(self, commit: Commit) -> None:
        """Apply the next commit, with a finding if it does not follow from the state before it."""
        if problem := self._contradiction(commit):
            self.findings.append(Finding(problem, f"commit {commit.version}", RESTORE))
        for retired in commit.removed:
            self.live.pop(retired.path, None)
            self.gone.add(retired.path)
        self.live.update((segment.path, segment) for segment in commit.added)
        if self.logs and commit.head > self.head:
            self.findings.append(Finding("it adds events after the log has ended", f"commit {commit.version}", RESTORE))
        if commit.table is not None:
            self.logs = commit.table.logs
        self.version, self.head = commit.version, max(self.head, commit.head)
        self.recorded_at = max(self.recorded_at, commit.recorded_at)

    def check_end(self) -> None:
        """Live rows, the last position and the head are one number, unless a commit that says otherwise was found before."""
        rows, last = sum(s.rows for s in self.live.values()), max((s.last for s in self.live.values()), default=0)
        if not rows == last == self.head and not any(finding.damage for finding in self.findings):
            problem = f"{rows:,} rows are live, the last position is {last:,} and the log's head {self.head:,}: they should be equal"
            self.findings.append(Finding(problem, f"the log at commit {self.version}", RESTORE))

    def _contradiction(self, commit: Commit) -> str | None:
        if commit.head < self.head:
            return f"its head is {commit.head:,}, but it was {self.head:,} before"
        if commit.recorded_at < self.recorded_at:
            return "it was recorded before the commit in front of it"
        for retired in commit.removed:
            if retired.path not in self.live:
                return f"it takes away {retired.path}, which is not live"
        for segment in commit.added:
            if segment.path in self.live or segment.path in self.gone:
                return f"it adds {segment.path}, which was in the log before"
        return self._miscount(commit)

    def _miscount(self, commit: Commit) -> str | None:
        rows = sum(segment.rows for segment in commit.added)
        if not commit.appends:
            replaced = sum(self.live[retired.path].rows for retired in commit.removed)
            if rows != replaced:
                return f"it puts {rows:,} rows in the place of {replaced:,}"
            return f"it moves the head from {self.head:,} to {commit.head:,} without events" if commit.head != self.head else None
        first = min((segment.first for segment in commit.added), default=self.head + 1)
        last = max((segment.last for segment in commit.added), default=self.head)
        if (first, last, rows) != (self.head + 1, commit.head, commit.head - self.head):
            return f"it adds {rows:,} rows from position {first:,} to {last:,}, and should hold {self.head + 1:,} to {commit.head:,}"
        return None

"""How retention holds each stream of a log, as far as the log is known here."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import polars as pl

from store.delta.heads import Heads
from store.delta.log import Log
from store.delta.policies import Policies
from store.retention.policy import Policy
from store.retention.standing import Standing
from store.times import Clock


class Standings:
    """`version_by`: the version that a stream had at a microsecond. Safe to use from many threads at once."""

    def __init__(self, log: Log, policies: Policies, heads: Heads, version_by: Callable[[str, int], int], clock: Clock) -> None:
        self._log, self._policies, self._heads, self._version_by, self._clock = log, policies, heads, version_by, clock

    def policy(self) -> Policy:
        with self._log.lock:
            return self._policies.newest()

    def of(self, stream_id: str) -> Standing:
        with self._log.lock:
            terms, version = self.policy().of(stream_id), self._heads.version(stream_id)
        return Standing.of(terms, version, lambda moment: self._version_by(stream_id, moment), self._clock())

    def shown(self, stream_id: str) -> tuple[int, int | None]:
        """It shows what lies behind the first of these versions. Up to the second, where a rule is in force: what is appended from then on hides
        more. Of most streams nothing is said, and nothing more is asked.
        """
        if self.policy().of(stream_id) is None:
            return 0, None
        terms, version, hidden = self.of(stream_id)
        return hidden, version if terms is not None and terms.rule else None

    def versions(self, stream_ids: Sequence[str]) -> Sequence[int]:
        """The last version of each, hidden or not, in one step."""
        with self._log.lock:
            return self._heads.versions(pl.Series(stream_ids, dtype=pl.String))

    def version(self, stream_id: str) -> int:
        """Its version, as everybody sees it: 0 once it was deleted, until it is begun anew."""
        with self._log.lock:
            version, terms = self._heads.version(stream_id), self.policy().streams.get(stream_id)
            return 0 if terms is not None and terms.gone(version) else version

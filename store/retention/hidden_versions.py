"""Up to which versions the streams of a log hide their events, of all streams at once."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Final, NamedTuple

import pyarrow as pa

from store.retention.policy import Policy

HIDDEN: Final = pa.schema([pa.field("stream_id", pa.string(), nullable=False), pa.field("hidden", pa.int64(), nullable=False)])

_OF_CATEGORIES: Final = """
    with cut as (select unnest($categories) as category, unnest($counts) as most, unnest($moments) as moment)
    select stream_id, greatest(coalesce(max(version) - max(most), 0), coalesce(max(version) filter (epoch_us(recorded_at) <= moment), 0)) as hidden
    from events join cut on category = split_part(stream_id, '-', 1) group by stream_id having hidden > 0
"""


class Said(NamedTuple):
    """What a policy says of all streams, whatever is appended. `floors`: of those that hide something for good, up to where. `counted`, `aged`: those
    with rules of their own, by number alone, and by age. `counts`, `ages`: does any rule in force, of a category, too, go by these?
    """

    floors: dict[str, int]
    counted: Sequence[str]
    aged: Sequence[str]
    counts: bool
    ages: bool


class HiddenVersions:
    """What was found last stays true until something else is said; where rules go by number, until something is appended; where they go by age, not
    at all. Safe to use from many threads at once: each remembers what is true.
    """

    def __init__(
        self,
        ask: Callable[[str, dict[str, Any]], Sequence[tuple[str, int]]],
        versions: Callable[[Sequence[str]], Sequence[int]],
        hidden: Callable[[str], int],
        now: Callable[[], int],
    ) -> None:
        """`ask`: the view `events`, of all that the log holds. `versions`: those that streams have, hidden or not. `hidden`: of one stream."""
        self._ask, self._versions, self._hidden, self._now = ask, versions, hidden, now
        self._said = Policy(), _said(Policy())
        self._found: tuple[Policy, int, pa.Table] = Policy(), 0, HIDDEN.empty_table()

    def table(self, policy: Policy, head: int) -> pa.Table:
        """Of each stream that hides something, up to which version; columns of HIDDEN. `policy`, `head`: as they were known just now."""
        known, said = self._said
        if known is not policy:
            self._said = policy, (said := _said(policy))
        ruled, at, found = self._found
        if ruled is policy and not said.ages and (at == head or not said.counts):
            return found
        hidden = self._all(policy, said)
        found = pa.table([list(hidden), list(hidden.values())], schema=HIDDEN)
        self._found = policy, head, found
        return found

    def _all(self, policy: Policy, said: Said) -> dict[str, int]:
        if not said.counts and not said.ages:
            return said.floors
        hidden = dict(said.floors)
        for stream_id, version in zip(said.counted, self._versions(said.counted), strict=True):
            hidden[stream_id] = max(hidden.get(stream_id, 0), version - (policy.streams[stream_id].rule.max_count or 0))
        hidden |= {stream_id: self._hidden(stream_id) for stream_id in said.aged}
        for stream_id, cut in self._of_categories(policy):
            if stream_id not in policy.ruled:      # whose own rule stands in place of this one
                hidden[stream_id] = max(hidden.get(stream_id, 0), cut)
        return {stream_id: version for stream_id, version in hidden.items() if version > 0}

    def _of_categories(self, policy: Policy) -> Sequence[tuple[str, int]]:
        rules = {category: rule for category, (rule, _) in policy.categories.items() if rule}
        if not rules:
            return ()
        now = self._now()
        ages = [None if rule.max_age_us is None else now - rule.max_age_us for rule in rules.values()]
        asked = {"categories": list(rules), "counts": [rule.max_count for rule in rules.values()], "moments": ages}
        return self._ask(_OF_CATEGORIES, asked)


def _said(policy: Policy) -> Said:
    floors = {stream_id: terms.floor for stream_id, terms in policy.streams.whole().items() if terms.truncated or terms.deletions}
    own = {stream_id: rule for stream_id in policy.ruled if (rule := policy.streams[stream_id].rule)}
    aged = [stream_id for stream_id, rule in own.items() if rule.max_age is not None]
    counted = [stream_id for stream_id, rule in own.items() if rule.max_age is None]
    general = [rule for rule, _ in policy.categories.values() if rule]
    ages = bool(aged) or any(rule.max_age is not None for rule in general)
    return Said(floors, counted, aged, bool(counted) or any(rule.max_age is None for rule in general), ages)

"""The events of several logs as one SQL view: their positions are those among all."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from store.log_view import LOCATED, SHARD
from store.logs.member import Member
from store.parquet_sql import read_parquet
from store.schema import EVENTS

_LOG: Final = ", ".join(EVENTS.names)
_OTHERS: Final = ", ".join(name for name in EVENTS.names if name != "position")
SEEN: Final = "(stream_id, version) in (select (stream_id, version) from events)"
"""Which snapshots can be seen: those of events that can."""


def merged_sql(members: Sequence[Member], place: Sequence[int]) -> str:
    """A select of the columns of `located_events`, up to that place; empty if there are none.

    The first log comes before all others, so its positions are those among all. Those of the others are counted anew, which takes a sort by time.
    """
    first, later = list[str](), list[str]()
    for rank, (member, end) in enumerate(zip(members, place, strict=True)):
        source = f"from {read_parquet(member.locations(end))} where position <= {end}" if end else ""
        if source and not rank:
            first.append(f"select {LOCATED} {source}")
        elif source:
            later.append(f"select {_LOG}, {SHARD} as shard, {rank} as rank {source}")
    if later:
        place_among_all = f"{place[0]} + row_number() over (order by recorded_at, rank, position)"
        numbered = f"select {_OTHERS}, {place_among_all} as position, shard from ({' union all '.join(later)})"
        first.append(f"select {_LOG}, shard, position as first_position, position as last_position from ({numbered})")
    return " union all ".join(first)

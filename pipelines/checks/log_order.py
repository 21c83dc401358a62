"""The order of the log: positions are dense, and the versions of each stream follow one another."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from pipelines.checks.check import SHOWN_ROWS, Check, Look, Verdict
from pipelines.checks.stretch import Stretch
from store import EventStore

_PART: Final = 1 << 16
_EVENTS_TOGETHER: Final = 2_000_000
"""Of whose streams the versions are counted at once: what bounds the memory."""

# Two sums, as a gap and a repeat leave the count as it is, and two of each may leave one sum.
_ODD_PARTS: Final = f"""
    with parts as (
        select (position - 1) // {_PART} as part, count(*) as events, sum(position::hugeint) as total,
               sum(position::hugeint * position) as squares
        from events where position > $after and position <= $until group by all
    ), expected as (
        select part, greatest($after, part * {_PART}) as low, least($until, (part + 1) * {_PART}) as high
        from range($after // {_PART}, ($until - 1) // {_PART} + 1) as of_all(part)
    )
    select part from expected left join parts using (part)
    where events is distinct from high - low
       or total is distinct from (high::hugeint * (high + 1) - low::hugeint * (low + 1)) // 2
       or squares is distinct from (high::hugeint * (high + 1) * (2 * high + 1) - low::hugeint * (low + 1) * (2 * low + 1)) // 6
    order by part
"""
_STEPS: Final = f"""
    select lag(position, 1, greatest($after, $part * {_PART})) over (order by position) as after_position, position, stream_id, version,
           if(after_position = position, 'the position repeats', 'positions between are missing') as problem
    from events where (position - 1) // {_PART} = $part and position > $after and position <= $until
    qualify position <> after_position + 1 order by position limit {SHOWN_ROWS}
"""
_STREAMS: Final = """
    select stream_id, min(version) as first_version, max(version) as last_version, count(*) as events, min(position) as first_position,
           'versions do not follow one another' as problem
    from events where position > $after and position <= $until and hash(stream_id) % $parts = $part
    group by stream_id
    having count(*) <> max(version) - min(version) + 1 or sum(version) <> (min(version) + max(version)) * count(*) // 2
        or ($after = 0 and min(version) <> 1)
    order by first_position
"""


def log_in_order() -> Check:
    """Incremental: what came since the last verdict; in full, from the first event. Blocking: rows made of a torn log would be wrong for good."""
    return Check(
        name="order",
        holds="Positions are dense, and the versions of each stream follow one another, from 1.",
        look=_look,
        blocking=True,
    )


def _look(look: Look) -> Verdict:
    stretch = Stretch.of(look, look.warehouse)
    if stretch.after == stretch.until:
        return Verdict(told=stretch.told(None))
    given = {"after": stretch.after, "until": stretch.until}
    odd = [part for (part,) in look.store.sql(_ODD_PARTS, given).fetchall()]
    steps = [row for part in odd[:SHOWN_ROWS] for row in _rows(look.store, _STEPS, {**given, "part": part})]
    streams = _broken_streams(look.store, given)
    if not odd and not streams:
        return Verdict(told=stretch.told(None))
    first = min([stretch.until, *(row["position"] for row in steps), *(row["first_position"] for row in streams)])
    problem = f"{len(odd):,} stretches of {_PART:,} positions have gaps or repeats, {len(streams):,} streams have: `python -m store verify` says more"
    return Verdict(problem=problem, rows=[*steps, *streams][:SHOWN_ROWS], failing=len(odd) + len(streams), told=stretch.told(first))


def _broken_streams(store: EventStore, given: dict[str, int]) -> Sequence[dict[str, Any]]:
    parts = (given["until"] - given["after"]) // _EVENTS_TOGETHER + 1
    return [row for part in range(parts) for row in _rows(store, _STREAMS, {**given, "parts": parts, "part": part})]


def _rows(store: EventStore, query: str, given: dict[str, int]) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = store.sql(query, given).to_arrow_table().to_pylist()
    return rows

"""Table macros over the log: what one asks of events, ready for replay in SQL.

Each is made only for a query that names it. They read `located_events`, which has the columns of `events`, and, for each row, the first and the last
position that its file can hold: as a file's name tells both, files that cannot hold what is asked for are not even opened. What is asked of streams
reads `visible_events`: the same without what retention hides.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from typing import Final

from store.schema import EVENTS
from store.shard import MAX_DEPTH

COLUMNS: Final = ", ".join([*EVENTS.names, "shard"])
_END: Final = 2**63 - 1
_SHARDS: Final = ", ".join(f"'h' || md5(id)[1:{depth}]" if depth else "'h'" for depth in range(MAX_DEPTH + 1))
_WHERE: Final = f"select {COLUMNS} from located_events where"
_SAID: Final = "case when starts_with(data, '{\"$erased\":\"') then '{}' else data end"
"""What an event says; one that was erased says nothing."""
_VISIBLE: Final = f"select {COLUMNS} from visible_events where"
_MERGED: Final = "lambda whole, part: json_merge_patch(whole, part)"
_PLACE: Final = """
    coalesce(
        try_cast(place::varchar as bigint),
        case when try_cast(place::varchar as timestamptz) is null
             then error('as_of takes a position or a time with its zone, and not ' || coalesce(place::varchar, 'null'))
             else (select coalesce(max(position), 0) from located_events where recorded_at <= try_cast(place::varchar as timestamptz)) end
    )
"""

MACROS: Final[Mapping[str, str]] = {
    "stream(id)": f"{_VISIBLE} stream_id = id and shard in ({_SHARDS}) order by version",
    f"replay(after := 0, until := {_END})": f"""
        {_WHERE} position > after and position <= until and last_position > after and first_position <= until order by position
    """,
    "as_of(place)": f"{_WHERE} position <= {_PLACE}",
    "category(name)": f"{_WHERE} split_part(stream_id, '-', 1) = name and stream_id >= name and stream_id < name || '.'",
    "of_type(name)": f"{_WHERE} type = name",
    "tagged(tag)": f"{_WHERE} list_contains(tags, tag)",
    "conversation(id)": f"{_WHERE} correlation_id = id order by position",
    "history(id)": f"""
        select version, position, occurred_at, recorded_at, type, data, list_reduce(list({_SAID}) over (order by version), {_MERGED})::json as state
        from visible_events where stream_id = id and shard in ({_SHARDS}) order by version
    """,
    "state(name)": f"""
        select stream_id, max(version) as version, max(position) as position, arg_max(type, version) as last_type,
               max(recorded_at) as recorded_at, list_reduce(list({_SAID} order by version), {_MERGED})::json as state
        from visible_events where split_part(stream_id, '-', 1) = name and stream_id >= name and stream_id < name || '.'
        group by stream_id
    """,
}
"""How each is called, and what it selects."""
_NAMED: Final = re.compile(rf"\b({'|'.join(called.partition('(')[0] for called in MACROS)})\s*\(", re.IGNORECASE)
_VIEW: Final = re.compile(r"\b[a-z]+_events\b")
_FILES: Final = re.compile(rf" and (?:shard in \({re.escape(_SHARDS)}\)|last_position > after|first_position <= until)")
_READS: Final = {
    "stream": {"stream_id", "version"}, "replay": {"position"}, "as_of": {"position", "recorded_at"}, "category": {"stream_id"},
    "of_type": {"type"}, "tagged": {"tags"}, "conversation": {"correlation_id", "position"},
    "history": {"stream_id", "version", "position", "occurred_at", "recorded_at", "type", "data"},
    "state": {"stream_id", "version", "position", "type", "recorded_at", "data"},
}  # fmt: skip
"""The columns that each cannot do without."""


def called_in(query: str) -> Mapping[str, str]:
    """Those of MACROS that the query may call."""
    names = {name.lower() for name in _NAMED.findall(query)}
    return {called: selected for called, selected in MACROS.items() if called.partition("(")[0] in names}


def granted_macros(columns: Collection[str]) -> Mapping[str, str]:
    """Those that these columns of the log suffice for, over a view `events` that has no other: which files it reads is its own affair."""
    there = {called: selected for called, selected in MACROS.items() if _READS[called.partition("(")[0]] <= set(columns)}
    return {called: _VIEW.sub("events", _FILES.sub("", selected.replace(COLUMNS, ", ".join(columns)))) for called, selected in there.items()}

"""A grant as selects of DuckDB: the part of the log, and of a table beside it, that it shows. Every text in them is quoted by us."""

from __future__ import annotations

import json
from collections.abc import Sequence

from store.grants.grant import EVERY, Grant
from store.parquet_sql import quoted
from store.shard import shards_of

NOTHING = "false"


def events_of(grant: Grant, located: str) -> str:
    """The granted part of a select of the columns of `located_events`, and its file's `shard`, `first_position`, `last_position`."""
    columns = [_column(name, grant) for name in grant.granted_columns]
    found = [f"({streams_of(grant)})"]
    if EVERY not in grant.types:
        found.append(_one_of("type", grant.types))
    if grant.streams and not grant.categories and EVERY not in grant.streams:     # files of other shards are not even opened
        found.append(_one_of("shard", sorted(set[str]().union(*map(shards_of, grant.streams)))))
    return f"select {', '.join([*columns, *_PLACES])} from ({located}) where {' and '.join(found)}"


_PLACES = ("shard as _shard", "first_position as _first", "last_position as _last")


def rows_of(grant: Grant, name: str, columns: Sequence[str], source: str) -> str:
    """The granted part of a table beside the log, of these columns, which `source` selects."""
    of = grant.tables[name]
    seen = [column for column in columns if of == EVERY or column in of]
    rows = f" where {streams_of(grant)}" if "stream_id" in columns else ""
    return f"select {', '.join(map(identifier, seen)) or 'null as nothing'} from ({source}){rows}"


def streams_of(grant: Grant) -> str:
    """The condition on `stream_id`."""
    either = [_one_of("stream_id", named)] if (named := [one for one in grant.streams if one != EVERY]) else []
    either += [
        f"stream_id = {quoted(category)} or (stream_id >= {quoted(category + '-')} and stream_id < {quoted(category + '.')})"
        for category in grant.categories
        if category != EVERY
    ]
    if EVERY in (*grant.streams, *grant.categories):
        either.append("not starts_with(stream_id, '$')")
    elif either:                                   # one range around all of them, which the statistics of every file can be held against
        ends = [(one, one) for one in grant.streams] + [(category, category + ".") for category in grant.categories]
        first, last = min(first for first, _ in ends), max(last for _, last in ends)
        return f"stream_id >= {quoted(first)} and stream_id <= {quoted(last)} and ({' or '.join(either)})"
    return " or ".join(either) or NOTHING


def identifier(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def _column(name: str, grant: Grant) -> str:
    if name != "data" or grant.data == EVERY:
        return identifier(name)
    assert not isinstance(grant.data, str)
    cases = [f"when {quoted(type)} then {_fields(of)}" for type, of in grant.data.items() if type != EVERY]
    rest = _fields(grant.data.get(EVERY, ()))
    return f"case type {' '.join(cases)} else {rest} end as data" if cases else f"{rest} as data"


def _fields(of: Sequence[str]) -> str:
    """JSON of these fields of `data`, as they are there; those that are not there are left out."""
    if of == EVERY:
        return "data"
    pieces = []
    for name in dict.fromkeys(of):
        pointer = quoted("/" + name.replace("~", "~0").replace("/", "~1"))
        pair = f"{quoted(json.dumps(name, ensure_ascii=False) + ':')} || json_extract(data, {pointer})::varchar"
        pieces.append(f"case when json_exists(data, {pointer}) then {pair} end")
    return "'{' || concat_ws(',', " + ", ".join(pieces) + ") || '}'" if pieces else "'{}'"


def _one_of(column: str, names: Sequence[str]) -> str:
    return f"{column} in ({', '.join(map(quoted, names))})" if names else NOTHING

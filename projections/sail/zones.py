"""Do Sail and DuckDB know the same rules of a time zone? Their tables come with them, and are not of one age."""

from __future__ import annotations

from typing import Final

import duckdb

from projections.sail.literals import quoted
from projections.sail.sail import SailClient

HOURS: Final = 596_088
"""From 1970 to 2038, which is where instants are read in a zone on Sail. Each is compared: no rule is in force for less."""


def differs(client: SailClient, zone: str) -> bool:
    local = f"unix_timestamp(from_utc_timestamp(timestamp_seconds(id * 3600), {quoted(zone)})) - id * 3600"
    theirs = client.ask(f"select sum(({local}) * id) as weighed, sum({local}) as plain from range({HOURS})").to_pylist()[0]
    with duckdb.connect() as duck:
        duck.execute("set TimeZone = 'UTC'")
        local = "epoch(timezone(?, to_timestamp(id * 3600)))::bigint - id * 3600"
        offsets = f"select id, {local} as offset_s from range({HOURS}) as hours(id)"
        ours = duck.execute(f"select sum(offset_s * id), sum(offset_s) from ({offsets})", [zone]).fetchall()
        return bool(ours != [(theirs["weighed"], theirs["plain"])])

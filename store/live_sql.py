"""Views that follow the Delta log of their table by themselves, in the SQL of DuckDB alone: text for a database that others open.

Each reference to such a view reads the log anew: the newest checkpoint and the commits after it, in `_delta_log`. Files are found by patterns
of their names, since a view cannot be given what another query has found. The order in which they are looked for matters. Commits are listed
first, then checkpoints, so that no commit is missing that no checkpoint has summed up; the data files last, so that none is missing that a
commit names. DuckDB binds a FROM from left to right, and so lists.
"""

from __future__ import annotations

from typing import Final

from store.log_view import LOCATED, SHARD, kept_snapshots
from store.macros import COLUMNS, MACROS
from store.parquet_sql import quoted

_ROOT: Final = "create macro warehouse_root() as rtrim(coalesce(getvariable('warehouse_root'), {root}), '/')"
"""Where the warehouse lies: where it was when this was written, or, once it has moved, where the session's variable says."""
_FILES: Final = r"create macro warehouse_files(pattern) as regexp_replace(warehouse_root(), '([*?[])', '[\1]', 'g') || '/' || pattern"
_LIVE_ACTIONS: Final = r"""
    create macro live_actions(folder) as table
    with committed as materialized (
        select regexp_extract(filename, '([0-9]{20})[.]json$', 1)::bigint as version, content
        from read_text(warehouse_files(folder || '/_delta_log/*.json'))
    ),
    summed as materialized (
        select regexp_extract(filename, '([0-9]{20})[.]checkpoint', 1)::bigint as version,
               url_decode(add.path) as added, null::varchar as removed, txn.appId as app, txn.version as mark
        from read_parquet(warehouse_files(folder || '/_delta_log/*.checkpoint.parquet'), filename = true)
    ),
    newest as (select max(version) as version from summed),
    later as (select * from committed where version > (from newest) and content <> ''),
    numbered as (select version, row_number() over (order by version) as nth from later),
    seen as (select (from newest) + count(*) as version from numbered where version = (from newest) + nth),
    lines as (select version, unnest(string_split(content, chr(10))) as line from later where version <= (from seen))
    select version, url_decode(line ->> '$.add.path') as added, url_decode(line ->> '$.remove.path') as removed,
           line ->> '$.txn.appId' as app, (line ->> '$.txn.version')::bigint as mark
    from lines where line <> ''
    union all
    select * from summed where version = (from newest)
"""
"""`seen`: a list that was read while commits landed may hold commit N + 1 and not N. It ends before the first gap: a state that was there."""
_LIVE_FILES: Final = """
    create macro live_files(folder) as table
    with actions as materialized (from live_actions(folder))
    select warehouse_root() || '/' || folder || '/' || path as filename
    from (select added as path from actions where added is not null except all select removed from actions where removed is not null)
"""

_RECORDS: Final = """
    select position as log_position, epoch_ms(recorded_at) as created_at, stream_id as stream, version - 1 as stream_revision, type as schema_name,
           null::varchar as schema_id, 'json' as schema_format, split_part(stream_id, '-', 1) as category,
           unhex(replace(event_id, '-', '')) as record_id, data, metadata
    from located_events
"""
"""The table `kdb.records` of KurrentDB 26.1, by docs/server/features/queries/flightsql.md of its repository: revisions from 0, milliseconds since
1970 UTC. Positions stay dense, where KurrentDB counts bytes; a record has no schema in a registry."""


def opening(root: str) -> list[str]:
    """The macros that all that follows stands on. `root`: of the warehouse, an absolute path."""
    return [_ROOT.format(root=quoted(root)), _FILES, _LIVE_ACTIONS, _LIVE_FILES]


def following(folder: str, files: str, columns: str) -> str:
    """A select of these columns out of the live files of the table in this folder of the warehouse; `files`: a pattern for their names in it."""
    found = f"read_parquet(warehouse_files({quoted(f'{folder}/{files}')}), hive_partitioning = false, filename = true)"
    # Of the file itself, not of `live`: only so does a condition on its name choose among the files before any is opened.
    return f"select {columns} from (select file.* from live_files({quoted(folder)}) live join {found} file on live.filename = file.filename)"


def log_views() -> list[str]:
    """`events`, and the macros over it, as `store.sql` has them, but that they show what is hidden until it is removed; KurrentDB's `kdb.records`."""
    return [
        f"create view located_events as {following('events', '**/shard=*/*.parquet', LOCATED)}",
        f"create view events as select {COLUMNS} from located_events",
        "create view visible_events as from events",
        *(f"create macro {called} as table {selected}" for called, selected in MACROS.items()),
        "create schema kdb",
        f"create view kdb.records as {_RECORDS}",
    ]


def snapshots_view() -> str:
    """`snapshots`: those that are kept, as `store.sql` has them."""
    found = following("snapshots", "shard=*/*.parquet", "*")
    return f"create view snapshots as {kept_snapshots(f'({found})', SHARD)}"


def live_view(name: str, folder: str) -> str:
    """A statement that makes a view of all columns of the table in this folder of the warehouse, which is open to views."""
    return f'create view "{name}" as {following(folder, "*.parquet", "* exclude (filename)")}'


def live_mark(folder: str, app: str) -> str:
    """A select of the newest number that a writer `app` said of the table in this folder, as `mark`; 0 before the first."""
    return f"select coalesce(max(mark), 0) as mark from live_actions({quoted(folder)}) where app = {quoted(app)}"

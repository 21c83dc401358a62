"""A published database for who cannot read the warehouse: the granted rows themselves, as of when it was written."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import pyarrow as pa

from projections.errors import PublishError
from projections.projection import Projection
from projections.published_file import Published, in_place_of, write
from projections.warehouse_sql import WarehouseSql
from store import Grant, SqlLimits, granted_macros, open_store

LIMITS: Final = SqlLimits(seconds=3_600.0, memory_bytes=8 << 30, rows=1_000_000_000)
"""Of one table: the query is ours, and only its size is not known."""


def granted_copy(warehouse: str, projections: Sequence[Projection], path: str | os.PathLike[str] | None, grant: Grant) -> Published:
    """See `publish_sql`. All tables are at one position, which the view `checkpoints` tells."""
    if path is None:
        raise PublishError("a grant", "by default the file lies in the warehouse, which whoever it is for cannot read", "give the path of a file")
    rows, left_out = dict[str, pa.Table](), dict[str, str]()
    with open_store(warehouse) as store, WarehouseSql(store, warehouse, projections) as asked:
        position = store.head()
        for name in [*(["events"] if grant.granted_columns else []), *grant.tables]:
            if name in asked.tables():
                rows[name] = asked.ask(f'from "{name}"', as_of=position, grant=grant, limits=LIMITS)
            else:
                left_out[name] = "there is no such table"
    if "checkpoints" in rows:
        raise PublishError("table 'checkpoints'", "the view of that name tells how far the tables are", "rename the projection, or grant without it")
    macros = [f"create macro {called} as table {selected}" for called, selected in granted_macros(grant.granted_columns).items()]
    target = Path(path).expanduser()
    with in_place_of(target) as temporary:
        told = f"select 'log' as projection, null::varchar as build, {position}::bigint as position"
        write(temporary, [*macros, f"create view checkpoints as {told}"], rows)
    return Published(target, [*rows, "checkpoints"], left_out)

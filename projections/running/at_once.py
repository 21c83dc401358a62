"""The rows of a projection out of the whole log at once, where a set of events needs no order: one query instead of many batches."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple, TypeAlias

import duckdb
import pyarrow as pa

from projections.projection import Projection
from projections.running.batches import stored_types
from store import EventStore, StoreError


class AtOnce(NamedTuple):
    """All rows, and how many events they were made of."""

    rows: pa.Table
    events: int


AllAtOnce: TypeAlias = "Callable[[EventStore, Projection, int], AtOnce | None]"
"""As `at_once`."""


def at_once(store: EventStore, projection: Projection, until: int) -> AtOnce | None:
    """Every row as of that position. None: it takes the batches, which also tell what is wrong with an event that the query failed on."""
    chosen = chosen_by(projection)
    query = None if has_old_shapes(projection) else projection.form.at_once(projection, chosen)
    if query is None:
        return None
    try:
        rows = store.sql(query, as_of=until).to_arrow_table().cast(projection.columns)
        ((events,),) = store.sql(f"select count(*) from events where {chosen}", as_of=until).fetchall()
    except (duckdb.Error, StoreError, pa.ArrowInvalid):
        return None
    return None if any(rows[name].null_count for name in projection.key) else AtOnce(rows, events)


def has_old_shapes(projection: Projection) -> bool:
    """Can events have to be lifted before the projection sees them?"""
    types = projection.event_types
    return types is not None and (bool(types.steps) or any(one.schema_version > 1 for one in types))


def chosen_by(projection: Projection) -> str:
    """The condition on the events that it reads."""
    types = stored_types(projection)
    conditions = [] if types is None else [f"type in ({', '.join(map(_quoted, types))})"]
    if projection.categories is not None:
        conditions.append(f"split_part(stream_id, '-', 1) in ({', '.join(map(_quoted, projection.categories))})")
    return " and ".join(conditions) or "true"


def _quoted(name: str) -> str:
    return "'" + name.replace("'", "''") + "'"

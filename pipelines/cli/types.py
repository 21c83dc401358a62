"""`types`: which types of events the domain knows, and which the log holds."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

from pipelines.cli.session import HERE, Session
from store import EventStore, EventTypes

_UNKNOWN: Final = "unknown"
_HELD: Final = """
    select type, schema_version, count(*) as events, min(recorded_at) as first, max(recorded_at) as last
    from events group by all order by type, schema_version
"""


def types(*, session: Session = HERE) -> None:
    """Each type and version: how the domain reads it, its fields, how many events the log holds, and the first and the last time."""
    with session.open() as store:
        rows = list(_rows(store, session.the_domain().event_types))
    session.answer.rows("", rows, ("type", "schema_version", "read_as", "events", "first", "last", "fields"))
    if unknown := sorted({row["type"] for row in rows if row["read_as"] == _UNKNOWN}):
        session.answer.note(f"The domain does not know {', '.join(unknown)}, and reads these as they are.")


def _rows(store: EventStore, known: EventTypes) -> Iterator[dict[str, Any]]:
    held = {(row["type"], row["schema_version"]): row for row in store.sql(_HELD).to_arrow_table().to_pylist()}
    shapes = {(shape.type, shape.schema_version): shape for shape in known.catalogue()}
    for name, version in sorted({*held, *shapes}):
        shape, told = shapes.get((name, version)), held.get((name, version), {})
        yield {
            "type": name,
            "schema_version": version,
            "read_as": _UNKNOWN if shape is None else "itself" if shape.current else shape.told_reads_as,
            "events": told.get("events", 0),
            "first": told.get("first"),
            "last": told.get("last"),
            "fields": [one.name for one in shape.fields or ()] if shape is not None else None,
        }

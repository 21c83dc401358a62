"""Typed event tables: for each event type a table with its fields as columns, so that analysis never parses JSON again."""

from __future__ import annotations

from collections.abc import Iterable

from projections.errors import DeclarationError, Fault
from projections.forms.typed import KEY, Typed, columns_of, snake
from projections.projection import Projection
from store import EventTypes


def typed_table(event_types: EventTypes, type_name: str, *, name: str | None = None) -> Projection:
    """A row for each event of this type: where it stands in the log, then its fields, of the types that its class asks for.

    Columns: position, piece (from 1; the pieces of a split event share its position), stream_id, version, event_id, occurred_at, recorded_at,
    correlation_id, causation_id, tags; then the fields as `EventTypes.columns` types them, in snake case, with `data_` before a name that
    one of those has. What a table cannot hold (a time without a zone, a member that is not in lower case) is JSON text.

    `name`: by default that of the type, such as `flight_departed_events` for FlightDeparted. Its version is the type's schema_version. A class
    that changed without raising it (a new field with a default) gives rows of another code, which need `rebuild` under the same version.
    InvalidEventError: there is no such type. DeclarationError: the name is none, or two fields come to the same column.
    """
    event_type = event_types[type_name]
    return Projection(
        name=f"{snake(type_name)}_events" if name is None else name,
        version=event_type.schema_version,
        description=f"Every {type_name}, its fields as columns.",
        key=KEY,
        columns=columns_of(event_types, type_name),
        form=Typed(event_type),
        event_types=event_types,
        by_stream=True,
    )


def typed_tables(event_types: EventTypes, type_names: Iterable[str] | None = None) -> tuple[Projection, ...]:
    """The typed tables of these types, or of all. DeclarationError: two of them would have one name."""
    tables: dict[str, Projection] = {}
    for type_name in [event_type.name for event_type in event_types] if type_names is None else type_names:
        table = typed_table(event_types, type_name)
        if table.name in tables:
            remedy = "declare one of them by typed_table, with a name of its own"
            raise DeclarationError(table.name, Fault("name", f"is that of two types, such as {type_name!r}", remedy))
        tables[table.name] = table
    return tuple(tables.values())

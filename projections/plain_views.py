"""Views over typed tables in which personal fields are decrypted, and of the types that their class asks for."""

from __future__ import annotations

import duckdb
import pyarrow as pa

from projections.forms.typed import Typed, plain_fields
from projections.projection import Projection

PLAIN = "_plain"
"""With it the name of such a view ends, after that of its table."""


def plain_view(connection: duckdb.DuckDBPyConnection, projection: Projection) -> str | None:
    """A select over the table called like the projection; None: it is no typed table, or nothing in it is personal.

    It calls `decrypt`, so only the store's own queries can ask it. What is redacted is null where the redacted value is none of the type.
    """
    if not isinstance(projection.form, Typed) or projection.event_types is None:
        return None
    fields = plain_fields(projection.event_types, projection.form.event_type.name)
    if not fields:
        return None
    types = connection.from_arrow(fields.empty_table()).types
    columns = (f'{_cast(field, str(type))} as "{field.name}"' for field, type in zip(fields, types, strict=True))
    return f'select * replace ({", ".join(columns)}) from "{projection.name}"'


def _cast(field: pa.Field, type: str) -> str:
    nested = pa.types.is_nested(field.type)
    return f'try_cast(decrypt("{field.name}"){"::json" if nested else ""} as {type})'

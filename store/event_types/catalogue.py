"""Every event type with its versions and their fields: to print, to query, and to keep beside the code."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import msgspec
import pyarrow as pa

from store.event_types.catalogue_file import read_shapes, write_shapes
from store.event_types.shape import Shape

if TYPE_CHECKING:
    from rich.table import Table

COLUMNS: Final = pa.schema(
    [
        pa.field("type", pa.string(), nullable=False),
        pa.field("schema_version", pa.int32(), nullable=False),
        pa.field("current", pa.bool_(), nullable=False),
        pa.field("reads_as", pa.string()),
        pa.field("field", pa.string()),
        pa.field("kind", pa.string()),
        pa.field("required", pa.bool_()),
        pa.field("default", pa.string()),
    ]
)


@dataclass(frozen=True, slots=True)
class Catalogue:
    """Shapes by type and version. `print(catalogue)` is plain text; `rich.print` fits a terminal."""

    shapes: tuple[Shape, ...]

    def __post_init__(self) -> None:
        object.__setattr__(self, "shapes", tuple(sorted(self.shapes, key=lambda shape: shape.key)))

    def __iter__(self) -> Iterator[Shape]:
        return iter(self.shapes)

    def __len__(self) -> int:
        return len(self.shapes)

    def table(self) -> pa.Table:
        """A row for each field: type, schema_version, current, reads_as, field, kind, required, default (JSON text).

        `reads_as`: what the steps make of an older version, such as `FlightDeparted 2`; null for a current one, and for one
        that is not read any more. A version of which no field is known, or that has none, is one row with `field` null;
        its `kind` then says which.
        """
        rows = [row for shape in self.shapes for row in rows_of(shape)]
        return pa.Table.from_pylist(rows, COLUMNS)

    def merged(self, older: Catalogue) -> Catalogue:
        """This catalogue, and what only the older one knows: its other versions, and the fields of versions that have no class any more."""
        own = {shape.key: shape for shape in self.shapes}
        for shape in older.shapes:
            mine = own.get(shape.key)
            if mine is None:
                own[shape.key] = msgspec.structs.replace(shape, current=False, reads_as=())
            elif mine.fields is None:
                own[shape.key] = msgspec.structs.replace(mine, fields=shape.fields, closed=shape.closed)
        return Catalogue(tuple(own.values()))

    def save(self, path: str | Path) -> Catalogue:
        """Write it as JSON, in a fixed order, to keep with the code; what was written.

        Merged with the file that is there, whole or not at all. EventTypesError: that file is no catalogue.
        """
        path = Path(path)
        kept = self.merged(Catalogue.read(path)) if path.exists() else self
        write_shapes(path, kept.shapes)
        return kept

    @staticmethod
    def read(path: str | Path) -> Catalogue:
        """One that was saved. EventTypesError: it is not there, or is no catalogue."""
        return Catalogue(tuple(read_shapes(Path(path))))

    def __rich__(self) -> Table:
        from store.event_types.printed_catalogue import printed  # rich is loaded by those who print

        return printed(self)

    def __str__(self) -> str:
        from store.event_types.printed_catalogue import plain

        return plain(self)


def rows_of(shape: Shape) -> Iterator[dict[str, Any]]:
    """The rows of `COLUMNS` for one shape; at least one."""
    row = {"type": shape.type, "schema_version": shape.schema_version, "current": shape.current, "reads_as": shape.told_reads_as}
    if not shape.fields:
        yield row | {"kind": "not known" if shape.fields is None else "no fields"}
    for field in shape.fields or ():
        yield row | {"field": field.name, "kind": field.kind, "required": field.required, "default": field.told_default}

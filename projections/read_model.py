"""A projection's rows as a Delta table: keyed, and changed only together with the checkpoint, in one durable commit."""

from __future__ import annotations

from dataclasses import dataclass, field

import pyarrow as pa

from projections.projection import Projection
from projections.turn import DeltaTurn, refused
from store import KeyedTable


@dataclass(frozen=True, slots=True)
class ReadModel:
    """The read model of one version of a projection, at a path or an object-store URI. See `Model`; safe to use from many threads at once.

    Any Delta reader reads the table, and nobody else can write it. A model never written has no rows and checkpoint 0, and makes nothing.
    ReadModelRefusedError: the table is torn, or another shape than declared. StorageError: storage refuses; try again.
    """

    uri: str
    projection: Projection
    _table: KeyedTable = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        declared = self.projection
        table = KeyedTable(self.uri, declared.name, declared.columns, declared.key, description=declared.description)
        object.__setattr__(self, "_table", table)  # opened when it is first asked for something

    def __reduce__(self) -> tuple[type[ReadModel], tuple[str, Projection]]:
        return ReadModel, (self.uri, self.projection)

    @classmethod
    def under(cls, warehouse: str, projection: Projection) -> ReadModel:
        """The place of a projection's read model in a warehouse."""
        return cls(f"{warehouse.rstrip('/')}/projections/{projection.name}/v{projection.version}", projection)

    def rows(self, *columns: str, limit: int | None = None) -> pa.Table:
        """The rows, in the order of their keys, with these columns (or all); the first `limit` of them."""
        with refused(self.uri):
            return self._table.rows(columns or None, limit)

    def checkpoint(self) -> int:
        """The last position applied; 0 before the first."""
        with refused(self.uri):
            return self._table.state().txns.get(self.projection.name, 0)

    def row_count(self) -> int:
        with refused(self.uri):
            return self._table.state().row_count

    def delta_version(self) -> int:
        """The table's newest Delta version; -1 before the first."""
        with refused(self.uri):
            return self._table.state().delta_version

    def files(self) -> list[str]:
        """The live Parquet files, as DuckDB and Polars are given them."""
        with refused(self.uri):
            return self._table.files()

    def turn(self) -> DeltaTurn:
        """A runner's hold on the model as it is now, for reading and changing it."""
        with refused(self.uri):
            return DeltaTurn(self.uri, self.projection, self._table.turn())

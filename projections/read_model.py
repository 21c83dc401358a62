"""A projection's rows as a Delta table: keyed, and changed only together with the checkpoint, in one commit."""

from __future__ import annotations

from dataclasses import dataclass

import pyarrow as pa
from deltalake import DeltaTable
from deltalake.exceptions import DeltaError, TableNotFoundError

from projections.confined import refuse_files_elsewhere, refuse_links
from projections.durable import local_path, refuse_torn, sync_created
from projections.errors import ProjectionError, ReadModelRefusedError
from projections.projection import Projection
from projections.turn import Turn, checkpoint_of, rows_of
from store import storage_options


@dataclass(frozen=True, slots=True)
class ReadModel:
    """The read model of one version of a projection, at a path or an object-store URI.

    Readers see one committed state, any number of them, while a runner writes. A model never written has no rows and
    checkpoint 0. ReadModelRefusedError: the table is torn or another shape than declared.
    """

    uri: str
    projection: Projection

    @classmethod
    def under(cls, warehouse: str, projection: Projection) -> ReadModel:
        """The place of a projection's read model in a warehouse."""
        return cls(f"{warehouse.rstrip('/')}/projections/{projection.name}/v{projection.version}", projection)

    def rows(self, *columns: str, limit: int | None = None) -> pa.Table:
        """The rows, in no particular order, with these columns (or all); at most `limit` of them."""
        schema = self.projection.columns
        wanted = pa.schema([schema.field(name) for name in columns or schema.names])
        table = self._table()
        return wanted.empty_table() if table is None else rows_of(table, wanted, limit)

    def checkpoint(self) -> int:
        """The last position applied; 0 before the first."""
        table = self._table()
        return 0 if table is None else checkpoint_of(table, self.projection)

    def row_count(self) -> int:
        table = self._table()
        return 0 if table is None else int(table.count())

    def delta_version(self) -> int:
        """The table's newest Delta version; -1 before the first."""
        table = self._table()
        return -1 if table is None else int(table.version())

    def turn(self) -> Turn:
        """A runner's hold on the model as it is now, for reading and changing it. Makes the table if there is none."""
        return Turn(self.uri, self.projection, self._table() or self._created())

    def _table(self) -> DeltaTable | None:
        if (root := local_path(self.uri)) is not None:
            refuse_links(self.uri, root)
        refuse_torn(self.uri)
        try:
            table = DeltaTable(self.uri, storage_options=storage_options(self.uri))
        except TableNotFoundError:
            return None
        except (DeltaError, OSError) as error:
            raise ProjectionError(f"{self.uri}: the table cannot be read: {error}") from error
        refuse_files_elsewhere(self.uri, table)
        self._refuse_other_shape(table)
        return table

    def _created(self) -> DeltaTable:
        if (root := local_path(self.uri)) is not None:
            root.mkdir(parents=True, exist_ok=True)
        try:
            # Log clean-up would let a commit by a runner that slept through it vanish (DESIGN §4.8).
            DeltaTable.create(
                self.uri,
                self.projection.columns,
                name=self.projection.name,
                configuration={"delta.enableExpiredLogCleanup": "false"},
                storage_options=storage_options(self.uri),
            )
        except (DeltaError, OSError) as error:
            if not DeltaTable.is_deltatable(self.uri, storage_options(self.uri)):
                raise ProjectionError(f"{self.uri}: the table cannot be made: {error}") from error
            # Another runner made it at the same moment.
        sync_created(self.uri)
        table = self._table()
        assert table is not None
        return table

    def _refuse_other_shape(self, table: DeltaTable) -> None:
        there, declared = _shape(pa.schema(table.schema().to_arrow())), _shape(self.projection.columns)
        if there != declared:
            remedy = f"raise the version of projection {self.projection.name!r}, so that it is rebuilt beside the old table"
            raise ReadModelRefusedError(self.uri, f"the table has the columns {there}, the projection declares {declared}", remedy)


def _shape(schema: pa.Schema) -> str:
    names = {"string_view": "string", "large_string": "string"}
    return ", ".join(f"{field.name} {names.get(str(field.type), field.type)}" for field in schema)

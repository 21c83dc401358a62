"""What a warehouse holds at this moment: how far the log is, how large its tables are, how each projection stands."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime

import pyarrow as pa
import pyarrow.compute as pc

from projections import Builds, Projection, Status, status
from store import EventStore, delta_table, is_table


@dataclass(frozen=True, slots=True)
class TableLevel:
    """A Delta table's live files. `rows`: in them."""

    table: str
    files: int
    data_bytes: int
    rows: int
    delta_version: int


@dataclass(frozen=True, slots=True)
class Levels:
    """`recorded_at`: of the last event; None: there is none."""

    head: int
    recorded_at: datetime | None
    tables: Sequence[TableLevel]
    projections: Sequence[Status]


def levels(store: EventStore, warehouse: str, projections: Sequence[Projection]) -> Levels:
    """Nothing is written, and no event but the last one is read. StoreError, ProjectionError: as reading these tables raises them."""
    root, size = warehouse.rstrip("/"), store.size()
    head, log = size.events, TableLevel("events", size.files, size.data_bytes, size.events, size.delta_version)
    last = store.read_all(head - 1, until=head).read_all()["recorded_at"].to_pylist() if head else []
    states = [status(store, warehouse, projection) for projection in projections]
    return Levels(head, last[0] if last else None, [log, *_tables(root, states)], states)


def _table_level(name: str, uri: str) -> TableLevel:
    """By another reader: it may be of an older version, with other columns than are declared."""
    table = delta_table(uri)
    files = pa.table(table.get_add_actions(flatten=True))
    data_bytes, rows = (int(pc.sum(files[column]).as_py() or 0) for column in ("size_bytes", "num_records"))
    return TableLevel(name, len(files), data_bytes, rows, table.version())


def _tables(root: str, states: Sequence[Status]) -> Iterator[TableLevel]:
    for name in ("snapshots", "dead_letters", "metrics"):
        if is_table(uri := f"{root}/{name}"):
            yield _table_level(name, uri)
    builds = Builds(root)
    for state in states:
        if state.serving and is_table(uri := builds.uri(state.projection, state.serving.build)):
            yield _table_level(state.projection, uri)

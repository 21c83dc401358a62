"""Two kinds of tables: one that is ours alone, and one as a read model would have it."""

from __future__ import annotations

import pyarrow as pa

from store.storage.objects import Objects
from store.tables.commit import Change, Commit
from store.tables.files import File
from store.tables.layout import Layout
from store.tables.part import Part
from store.tables.table_log import TableLog

OURS = Layout(
    name="ours",
    description="A test's.",
    schema=pa.schema([pa.field("key", pa.string(), nullable=False), pa.field("n", pa.int64())]),
    partition="shard",
    bounded=("key", "n"),
    features=("alluvium",),
    configuration={"alluvium.format": "1"},
)
MODEL = Layout(
    name="model",
    description="A test's.",
    schema=pa.schema(
        [
            pa.field("key", pa.string(), nullable=False), pa.field("n", pa.int64()), pa.field("day", pa.date32()), pa.field("ratio", pa.float64()),
            pa.field("at", pa.timestamp("us", "UTC")), pa.field("ok", pa.bool_()), pa.field("price", pa.decimal128(12, 2)),
            pa.field("tags", pa.list_(pa.field("element", pa.string(), nullable=False))), pa.field("place", pa.struct([pa.field("x", pa.int32())])),
        ]
    ),
    partition=None,
    bounded=("key",),
)  # fmt: skip


def put(objects: Objects, *numbers: int, layout: Layout = OURS) -> File:
    """A file of these rows, part of no table yet."""
    part = Part(layout, "h" if layout.partition else "")
    columns = [pa.array([f"k-{n:03d}" for n in numbers]), pa.array(numbers, pa.int64())]
    rest = [pa.nulls(len(numbers), field.type) for field in list(layout.schema)[2:]]
    part.add(pa.Table.from_arrays([*columns, *rest], schema=layout.schema))
    return part.put(objects)


def added(objects: Objects, log: TableLog, *numbers: int, **txns: int) -> Commit:
    change = Change(operation="WRITE", added=[put(objects, *numbers, layout=log.layout)], txns=txns)
    commit = log.amend(lambda: change)
    assert isinstance(commit, Commit)
    return commit

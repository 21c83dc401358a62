"""What views need that find the files of a table by patterns of their names, as those of a published database do."""

from __future__ import annotations

from typing import Final

import pyarrow as pa
import pyarrow.parquet as pq

from store.storage.objects import Objects
from store.tables.checkpoint_file import versions
from store.tables.table_log import TableLog

STAND_IN: Final = "_columns.parquet"
"""A file without rows. DuckDB fails where a pattern finds no file, and a table may lose its last row; Delta readers pass it by."""


def open_to_views(objects: Objects, log: TableLog) -> bool:
    """Let there be, from now on, a checkpoint and a file without rows. False: there is no table."""
    log.refresh()
    if log.version < 0:
        return False
    if not versions(objects):
        log.checkpoint()
    sink = pa.BufferOutputStream()
    pq.write_table(log.layout.schema.empty_table(), sink, store_schema=False)
    objects.put_if_absent(f"{log.layout.partition}=h/{STAND_IN}" if log.layout.partition else STAND_IN, sink.getvalue().to_pybytes())
    return True

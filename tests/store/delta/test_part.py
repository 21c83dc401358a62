"""What a sorted file holds beside its rows."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import orjson
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest

from store import open_store
from store.delta.delta_store import DeltaEventStore
from tests.store.delta.layout import RUN_ROWS, fill, small_layout

__all__ = ["small_layout"]

pytestmark = pytest.mark.usefixtures("small_layout")


@pytest.fixture
def store(tmp_path: Path) -> Iterator[DeltaEventStore]:
    with open_store(str(tmp_path), create=True) as store:
        fill(store, [3] * RUN_ROWS)
        store.compact()
        yield store


def test_statistics_bound_the_rows_of_every_file(store: DeltaEventStore) -> None:
    for segment in store._log.segments():
        events = store._files.read_columns(segment, ["position", "stream_id", "version", "type"])
        stats = orjson.loads(segment.stats)
        assert stats["numRecords"] == len(events) == segment.rows
        for name in events.column_names:
            assert (stats["minValues"][name], stats["maxValues"][name]) == tuple(pc.min_max(events[name]).as_py().values())


def test_nulls_are_counted(store: DeltaEventStore) -> None:
    for segment in store._log.segments():
        assert orjson.loads(segment.stats)["nullCount"]["metadata"] == segment.rows
        assert orjson.loads(segment.stats)["nullCount"]["data"] == 0


def test_row_groups_end_where_a_section_ends(store: DeltaEventStore) -> None:
    for segment in store._log.segments():
        for events in store._files.read_groups(segment):
            assert len({(position - 1) // 16 for position in events["position"].to_pylist()}) == 1


def test_changed_byte_is_found_by_the_checksum_of_its_page(store: DeltaEventStore, tmp_path: Path) -> None:
    file = tmp_path / "events" / store._log.segments()[0].path
    column = pq.read_metadata(file).row_group(0).column(0)
    body = bytearray(file.read_bytes())
    body[column.data_page_offset + column.total_compressed_size - 1] ^= 1
    file.write_bytes(body)
    with pytest.raises(OSError, match="CRC"):
        pq.ParquetFile(file, page_checksum_verification=True).read()

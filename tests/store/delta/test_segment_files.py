"""What is remembered of files that were opened."""

from __future__ import annotations

import pyarrow as pa
import pyarrow.parquet as pq

from store.bulk import bulk
from store.delta import compaction, part, segment, segment_files
from store.delta.part import Part
from store.delta.placing import place_table
from store.shard import FANOUT
from tests.bench.workload import history


def test_the_footers_of_one_joined_range_are_remembered_together() -> None:
    """A replay opens all of them for every section: if the first had been forgotten by the last, each would be read again each time."""
    groups = 8
    events, _ = place_table(bulk(history(0, groups * part.ROW_GROUP_ROWS, ids=True)), lambda streams: [0] * len(streams), 0, 0)
    file = Part("h0", 1, len(events))
    file.add(events)
    footer_bytes = pq.read_metadata(pa.BufferReader(file.done()[1])).serialized_size
    sections = segment.RUN_ROWS * compaction.JOINED_RUNS // segment.SECTION_ROWS
    row_groups = sections * FANOUT * (segment.SECTION_ROWS // FANOUT // part.ROW_GROUP_ROWS + 1)       # what is left of each makes one more
    assert footer_bytes / groups * row_groups < segment_files.REMEMBERED_FOOTER_BYTES

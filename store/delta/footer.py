"""What a Parquet file says of its row groups, read column by column and only when it is asked."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Final

import pyarrow.parquet as pq

from store.schema import EVENTS

_PLACES: Final = {name: EVENTS.get_field_index(name) for name in ("position", "stream_id", "version", "type", "recorded_at")}
"""Columns of the file; `tags`, the only nested one, comes after these."""

Bounds = tuple[Any, Any]
"""The least and the greatest value of a row group."""


class Footer:
    """A file's metadata. Its statistics cost 2 µs a value in Python: they are turned into bounds once, and only where a search comes by."""

    def __init__(self, metadata: pq.FileMetaData) -> None:
        self.metadata = metadata
        self.size_bytes: int = metadata.serialized_size
        self.groups: int = metadata.num_row_groups
        self._bounds: dict[tuple[str, int], Bounds | None] = {}

    def bounds(self, name: str, group: int) -> Bounds | None:
        """None: there are no such statistics, as landing files have none."""
        try:
            return self._bounds[name, group]
        except KeyError:
            return self._bounds.setdefault((name, group), self._read(name, group))

    def where(self, name: str, holds: Callable[[Any, Any], bool], among: Sequence[int] | None = None) -> Sequence[int]:
        """The row groups whose bounds in this column hold; without statistics, all that were among them."""
        groups = range(self.groups) if among is None else among
        return [group for group in groups if (bounds := self.bounds(name, group)) is None or holds(*bounds)]

    def _read(self, name: str, group: int) -> Bounds | None:
        statistics = self.metadata.row_group(group).column(_PLACES[name]).statistics
        return None if statistics is None or not statistics.has_min_max else (statistics.min, statistics.max)

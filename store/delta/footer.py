"""What a Parquet file says of its row groups, read column by column and only when it is asked."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Final

import pyarrow.parquet as pq

from store.schema import EVENTS

_PLACES: Final = {name: EVENTS.get_field_index(name) for name in ("position", "stream_id", "version", "type", "recorded_at")}
"""Columns of the file; `tags`, the only nested one, comes after these."""

Bounds = list[tuple[Any, Any]]
"""The least and the greatest value of each row group."""


class Footer:
    """A file's metadata. Its statistics cost 2 µs a value in Python: they are turned into bounds once, and only those in use."""

    def __init__(self, metadata: pq.FileMetaData) -> None:
        self.metadata = metadata
        self.size_bytes: int = metadata.serialized_size
        self.groups: int = metadata.num_row_groups
        self._bounds: dict[str, Bounds | None] = {}

    def bounds(self, name: str) -> Bounds | None:
        """None: the file has no such statistics, as landing files have none."""
        try:
            return self._bounds[name]
        except KeyError:
            return self._bounds.setdefault(name, self._read(_PLACES[name]))

    def where(self, name: str, holds: Callable[[Any, Any], bool], among: Sequence[int] | None = None) -> Sequence[int]:
        """The row groups whose bounds in this column hold; without statistics, all that were among them."""
        groups = range(self.groups) if among is None else among
        bounds = self.bounds(name)
        return groups if bounds is None else [group for group in groups if holds(*bounds[group])]

    def _read(self, column: int) -> Bounds | None:
        bounds = []
        for group in range(self.groups):
            statistics = self.metadata.row_group(group).column(column).statistics
            if statistics is None or not statistics.has_min_max:
                return None
            bounds.append((statistics.min, statistics.max))
        return bounds

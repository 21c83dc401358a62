"""A read model as it was a while ago: one of the Delta versions of its table whose files are still there."""

from __future__ import annotations

from bisect import bisect_right
from typing import Final

from projections.models.memory_model import MemoryModel
from projections.models.read_model import ReadModel
from projections.models.turn import FINGERPRINT
from store import StoreError, delta_rows, delta_table

LOOKED_AT: Final = 256
"""So many versions back from the newest one, at most."""


def kept(model: ReadModel, position: int) -> MemoryModel | None:
    """A copy in memory of its newest kept version at or below the position, to go on from; None: none is kept, or none by the code of now.

    Replaced files stay for ten minutes, so this is about the last few minutes. Only a shortcut: whatever is in its way, there is the log.
    """
    try:
        newest = delta_table(model.uri).version()
        versions = range(max(0, newest - LOOKED_AT), newest + 1)
        found = bisect_right(versions, position, key=lambda version: _checkpoint(model, version)) - 1
        if found < 0 or (checkpoint := _checkpoint(model, versions[found])) <= 0:
            return None
        table = delta_table(model.uri, versions[found])
        if table.metadata().configuration.get(FINGERPRINT) != model.made_by():
            return None
        rows = delta_rows(model.uri, table).cast(model.projection.columns)
    except (StoreError, ValueError):
        return None
    copy = MemoryModel(model.projection)
    copy.turn().commit(rows, checkpoint)
    return copy


def _checkpoint(model: ReadModel, version: int) -> int:
    """Of that version; -1 where it is not kept any more, as are all before it."""
    try:
        return int(delta_table(model.uri, version).transaction_version(model.projection.name) or 0)
    except StoreError:
        return -1

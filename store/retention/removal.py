"""Removing what is hidden: its events become husks, by the same rewrite as an erasure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from copy import copy
from dataclasses import dataclass
from typing import Final, Self

import pyarrow as pa
import pyarrow.compute as pc

from store.husk import are_husks, husked
from store.rewrite import Extent
from store.shard import stream_hash

_TOLD: Final = pa.schema({"stream_id": pa.dictionary(pa.int32(), pa.string()), "position": pa.int64()})
"""Twelve bytes an event, of which there may be very many."""


@dataclass(frozen=True, slots=True)
class Removed:
    """What was removed, or would be: how many events of each stream. Old files hold them until they are vacuumed.

    `delta_version`: of the commit; None: there was nothing to remove, it was a dry run, or the log is in memory.
    """

    streams: Mapping[str, int]
    delta_version: int | None = None
    bytes_before: int = 0
    bytes_after: int = 0

    @property
    def events(self) -> int:
        return sum(self.streams.values())


class Removal:
    """A rewrite. `hidden`: of streams, the versions up to which they are hidden."""

    def __init__(self, hidden: pa.Table, head: int, rewrite_id: str) -> None:
        hidden = hidden.sort_by("stream_id")
        self._names: list[str] = hidden["stream_id"].to_pylist()
        self._until = dict(zip(self._names, hidden["hidden"].to_pylist(), strict=True))
        self._hashes = sorted(map(stream_hash, self._names))
        self._head, self._rewrite_id = head, rewrite_id
        self._within: Sequence[Extent] | None = None

    def within(self, extents: Sequence[Extent] | None) -> Self:
        """The same, but only in files of these extents; None: in all."""
        twin = copy(self)
        twin._within = extents
        return twin

    @property
    def rewrite_id(self) -> str:
        return self._rewrite_id

    @property
    def until(self) -> int:
        return self._head

    @property
    def columns(self) -> Sequence[str]:
        return ("stream_id", "version", "data", "metadata")

    @property
    def told(self) -> pa.Schema:
        return _TOLD

    def meets(self, extent: Extent) -> bool:
        within = self._within is None or any(_holds(whole, extent) for whole in self._within)
        return within and extent.may_hold(self._names, self._hashes)

    def chosen(self, events: pa.Table) -> pa.Array:
        streams = events["stream_id"].combine_chunks().dictionary_encode()     # `index_in` would make an index of all hidden streams each time
        until = pa.array([self._until.get(name, 0) for name in streams.dictionary.to_pylist()], pa.int64())
        hidden = pc.less_equal(events["version"].combine_chunks(), until.take(streams.indices))
        if not pc.any(hidden).as_py():
            return hidden
        says = pc.or_(pc.invert(are_husks(events["data"].combine_chunks())), events["metadata"].combine_chunks().is_valid())
        return pc.and_(hidden, says)

    def changed(self, events: pa.Table, chosen: pa.Array) -> pa.Table:
        return husked(events, chosen, self._rewrite_id)


def _holds(whole: Extent, part: Extent) -> bool:
    return (
        whole.first <= part.first
        and part.last <= whole.last
        and whole.lowest_stream <= part.lowest_stream
        and part.highest_stream <= whole.highest_stream
    )

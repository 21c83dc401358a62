"""The deeds of an erasure in `$audit`: what is about to be erased, so exactly that it can be erased again, and that it was.

No value that was erased stands in them.
"""

from __future__ import annotations

import base64
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import pairwise
from typing import Any, Final

import pyarrow as pa
import pyarrow.compute as pc

from store.deeds import FINDINGS, Deed, deeds, record
from store.erasing.choice import ID_SIGNS
from store.erasing.erasure import Erasure
from store.event_store import EventStore
from store.query import Query
from store.submits import Submits

BEGAN: Final = "ErasureBegan"
ERASED: Final = "Erased"
REAPPLIED: Final = "ErasuresReapplied"
_EVENTS: Final = 50_000
"""Of so many events one deed tells the places at most: it is an event itself, and has its largest size."""


@dataclass(frozen=True, slots=True)
class Told:
    """What the deeds tell of one erasure in one log: the events meant, by position and by how their ids end, and what becomes of them."""

    erasure_id: str
    log: str
    log_id: str
    erasure: Erasure
    positions: pa.Array
    ends: pa.Array


def begin(store: Submits, told: Told, by: str, why: str, found: Sequence[str] = ()) -> None:
    """Durably, before the erasure. What was interrupted after it can be completed by what it says.

    `found`: what was not as it had been attested, in words; told in the first part.
    """
    parts = list(range(0, len(told.positions), _EVENTS))
    rest = {"fields": told.erasure.fields, "metadata": told.erasure.metadata, "tags": told.erasure.tags}
    for number, first in enumerate(parts, 1):
        what = {
            "erasure_id": told.erasure_id, "what": told.erasure.told(), "log": told.log, "log_id": told.log_id, "part": number, "parts": len(parts),
            "positions": _ranges(told.positions.slice(first, _EVENTS).to_pylist()), "ids": _packed(told.ends.slice(first, _EVENTS)), **rest,
            **({"found": list(found)[:FINDINGS]} if found and number == 1 else {}),
        }  # fmt: skip
        record(store, Deed(BEGAN, by, why, what))


def dated(store: EventStore) -> Iterator[tuple[datetime, Told]]:
    """All erasures that its deeds tell of, and when they began, oldest first, one for each part of a large one."""
    for event, deed in deeds(store):
        if deed.type == BEGAN:
            yield event.recorded_at, _told(deed.what)


def completed(store: EventStore) -> set[str]:
    """The ids of those erasures that were not killed on their way, or were completed later."""
    ids = set[str]()
    for _, deed in deeds(store):
        if deed.type == ERASED:
            ids.add(deed.what["erasure_id"])
        elif deed.type == REAPPLIED:
            ids.update(deed.what["erasures"])
    return ids


def _told(what: Mapping[str, Any]) -> Told:
    erasure = Erasure(query=Query(), fields=what["fields"], metadata=what["metadata"], tags=what["tags"])
    return Told(what["erasure_id"], what["log"], what["log_id"], erasure, _positions(what["positions"]), _unpacked(what["ids"]))


def ends_of(event_ids: pa.ChunkedArray) -> pa.Array:
    return pc.utf8_slice_codeunits(event_ids.combine_chunks(), -ID_SIGNS)


def _ranges(positions: Sequence[int]) -> str:
    """Such as 7-9 12: in order, both ends included."""
    starts = [positions[0], *(there for before, there in pairwise(positions) if there != before + 1)]
    stops = [*(before for before, there in pairwise(positions) if there != before + 1), positions[-1]]
    return " ".join(str(first) if first == last else f"{first}-{last}" for first, last in zip(starts, stops, strict=True))


def _positions(ranges: str) -> pa.Array:
    pairs = [tuple(map(int, part.split("-"))) for part in ranges.split()]
    return pa.array([position for pair in pairs for position in range(pair[0], pair[-1] + 1)], pa.int64())


def _packed(ends: pa.Array) -> str:
    return base64.b64encode(bytes.fromhex("".join(ends.to_pylist()))).decode()


def _unpacked(text: str) -> pa.Array:
    signs = base64.b64decode(text).hex()
    return pa.array([signs[at : at + ID_SIGNS] for at in range(0, len(signs), ID_SIGNS)], pa.string())

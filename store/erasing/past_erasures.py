"""What was erased from a warehouse, as its deeds tell."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime

import pyarrow as pa

from store.erasing.choice import Meant
from store.erasing.erasable import Log, erasable
from store.erasing.erasure_deed import Told, dated
from store.event_store import EventStore
from store.rewrite import counted, types_in


@dataclass(frozen=True, slots=True)
class PastErasure:
    """An erasure that its deeds tell of. `began_at`: what was made of events before it may hold what it erased."""

    erasure_id: str
    began_at: datetime
    streams: frozenset[str]
    types: frozenset[str]


def past_erasures(warehouse: EventStore) -> Iterator[PastErasure]:
    """Oldest first, one for each part of a large one, as far as their events are in this warehouse. Each time it reads these, and all of `$audit`.

    InvalidEventError: the store has no way to erase.
    """
    store = erasable(warehouse)
    logs = store.erasable()
    for began_at, told in dated(store):
        if told.log in logs:
            touched = meant(logs[told.log], told)
            yield PastErasure(told.erasure_id, began_at, frozenset(counted([touched])), frozenset(types_in([touched])))


def meant(log: Log, told: Told) -> pa.Table:
    """All events of an erasure that are here, whatever they say."""
    return log.events.find(Meant(told.erasure, told.erasure_id, log.head(), told.positions, told.ends))

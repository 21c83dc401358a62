"""What the processes of the chaos decide on and project: it tells whether a decision was made on anything but the newest state, or applied twice."""

from __future__ import annotations

from hashlib import sha256
from typing import Any

import msgspec
import pyarrow as pa

from pipelines.domain import Domain
from projections import Handlers, Place, Projection, Sql
from store import Aggregate, EventType, EventTypes, SnapshotPolicy


class Tallied(msgspec.Struct, frozen=True):
    """`before`: how many there were, as far as who decided could see."""

    seed: int
    number: int
    before: int


class Tally(msgspec.Struct, frozen=True):
    """`last`: the number of each seed's last one."""

    count: int = 0
    last: dict[str, int] = {}


def counted(tally: Tally, event: Tallied) -> Tally:
    return Tally(tally.count + 1, {**tally.last, str(event.seed): event.number})


TYPES = EventTypes(EventType("Tallied", Tallied))
TALLY = Aggregate(category="tally", initial=Tally(), evolve=counted, types=TYPES, snapshots=SnapshotPolicy(every_events=20))


def chained(chain: str, number: int) -> str:
    """Another one for every order of the numbers, and for every one that comes twice."""
    return sha256(f"{chain}/{number}".encode()).hexdigest()


def link(row: dict[str, Any] | None, event: Tallied, place: Place) -> dict[str, Any]:
    chain = row["chain"] if row else ""
    return {"seed": event.seed, "chain": chained(chain, event.number)}


def seed(event: Tallied, place: Place) -> int:
    return event.seed


COUNTS = Projection(
    name="counts",
    version=1,
    by_stream=True,
    key=("stream",),
    columns=pa.schema({"stream": pa.string(), "events": pa.int64(), "last": pa.int64()}),
    form=Sql("select stream_id as stream, 1 as events, version as last from events", {"events": "count", "last": "max"}),
)
CHAINS = Projection(
    name="chains",
    version=1,
    key=("seed",),
    columns=pa.schema({"seed": pa.int64(), "chain": pa.string()}),
    event_types=TYPES,
    form=Handlers(on={Tallied: link}, key=seed),
)
domain = Domain(name="chaos", projections=(COUNTS, CHAINS), event_types=TYPES, aggregates=(TALLY,))

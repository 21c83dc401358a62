"""An application of orders: what their events say, and the state that they fold to."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import msgspec

from store import Aggregate, EventStore, EventType, EventTypes, SnapshotPolicy, load, open_store
from tests.bench.workload import LIFECYCLE, payload


class Line(msgspec.Struct, frozen=True):
    """What an order's events say, each type alike."""

    order_id: str
    seq: int
    customer_id: str
    sku: str
    qty: int
    amount: int
    currency: str
    channel: str
    warehouse: str
    ts: str


LINES: Final = {name: msgspec.defstruct(name, [], bases=(Line,), frozen=True) for name in dict.fromkeys(LIFECYCLE)}
TYPES: Final = EventTypes(*(EventType(name, cls) for name, cls in LINES.items()))


class Order(msgspec.Struct, frozen=True):
    """What the peers' fold keeps, but for the quantities per article."""

    events: int = 0
    status: str = ""
    total: int = 0


def evolve(order: Order, line: Any) -> Order:
    return Order(order.events + 1, line.channel, order.total + line.amount)


def orders(policy: SnapshotPolicy | None = None) -> Aggregate[Order]:
    """Each is a new one to the cache of states."""
    return Aggregate(category="order", initial=Order(), evolve=evolve, types=TYPES, snapshots=policy)


def line(number: int) -> Any:
    return LINES[LIFECYCLE[number % 10]](**payload("order-x", number, number))


Before = Callable[[EventStore], object]
"""What a handle has done already."""


def read_another(store: EventStore) -> object:
    """Its files are open then, but it has loaded nothing."""
    return store.read_stream("order-00000000", limit=1)


def load_another(store: EventStore) -> object:
    """Its snapshots are known then, too."""
    return load(store, orders(SnapshotPolicy()), "00000000")


def load_cold(place: Path, id: str, length: int, policy: SnapshotPolicy | None = None, before: Before = read_another) -> float:
    """Seconds, by a new handle that knows nothing of this aggregate."""
    with open_store(str(place)) as store:
        before(store)
        began = time.perf_counter()
        loaded = load(store, orders(policy), id)
        spent = time.perf_counter() - began
    if loaded.version != length:
        raise AssertionError(f"{id} has {loaded.version} events, not {length}")
    return spent

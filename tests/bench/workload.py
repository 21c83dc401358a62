"""The events that are measured: orders of ten events each, about 190 bytes of JSON an event."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import orjson
import pyarrow as pa

from store import Event

LIFECYCLE = (
    "OrderPlaced", "ItemAdded", "ItemAdded", "ItemAdded", "AddressConfirmed",
    "PaymentAuthorised", "PaymentCaptured", "OrderPacked", "OrderShipped", "OrderDelivered",
)  # fmt: skip


def payload(stream_id: str, version: int, number: int) -> dict[str, Any]:
    """The data of one event; `number` makes it one of a kind."""
    mixed = (number * 2654435761 + version * 40503) & 0xFFFFFFFF
    return {
        "order_id": stream_id,
        "seq": version,
        "customer_id": f"cust-{mixed % 50000:06d}",
        "sku": f"SKU-{mixed // 7 % 997:04d}",
        "qty": mixed % 5 + 1,
        "amount": mixed % 100000,
        "currency": "EUR",
        "channel": ("web", "app", "pos", "b2b")[mixed % 4],
        "warehouse": f"AMS-{mixed % 12:02d}",
        "ts": f"2026-01-{number // 86400 % 28 + 1:02d}T{number // 3600 % 24:02d}:{number // 60 % 60:02d}:{number % 60:02d}.000Z",
    }


def order(stream_id: str, first: int, count: int) -> list[Event]:
    """Events `first + 1` to `first + count` of one order."""
    return [Event(LIFECYCLE[version % 10], payload(stream_id, version, version)) for version in range(first, first + count)]


def history(events: int) -> pa.Table:
    """A table for append_table: about a thousand orders are open at once, ten events each."""
    rows = list(_interleaved(events))
    return pa.table(
        {
            "stream_id": [stream_id for stream_id, _, _ in rows],
            "type": [LIFECYCLE[version % 10] for _, version, _ in rows],
            "data": [orjson.dumps(payload(*row)).decode() for row in rows],
        }
    )


def _interleaved(events: int) -> Iterator[tuple[str, int, int]]:
    for number in range(events):
        block, place = divmod(number, 10_000)
        yield f"order-{block * 1000 + place % 1000:08d}", place // 1000, number

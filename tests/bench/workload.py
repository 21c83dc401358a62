"""The events that are measured: orders of ten events each, about 190 bytes of JSON an event."""

from __future__ import annotations

import hashlib
import zlib
from typing import Any, Final

import duckdb
import pyarrow as pa

from store import Event

LIFECYCLE: Final = (
    "OrderPlaced", "ItemAdded", "ItemAdded", "ItemAdded", "AddressConfirmed",
    "PaymentAuthorised", "PaymentCaptured", "OrderPacked", "OrderShipped", "OrderDelivered",
)  # fmt: skip

LONG_STREAM: Final = "order-big"

_NAMES: Final = {"ordered": "'order-' || lpad(number::varchar, 8, '0')", "random": "'order-' || md5(number::varchar)[1:12]"}
_DATA: Final = """format(
    '{{"order_id":"{}","seq":{},"customer_id":"cust-{:06d}","sku":"SKU-{:04d}","qty":{},"amount":{},"currency":"EUR",'
    || '"channel":"{}","warehouse":"AMS-{:02d}","ts":"2026-01-{:02d}T{:02d}:{:02d}:{:02d}.000Z"}}',
    stream_id, version, mixed % 50000, mixed // 7 % 997, mixed % 5 + 1, mixed % 100000, ['web', 'app', 'pos', 'b2b'][mixed % 4 + 1], mixed % 12,
    place // 86400 % 28 + 1, place // 3600 % 24, place // 60 % 60, place % 60)"""


def payload(stream_id: str, version: int, place: int) -> dict[str, Any]:
    """The data of one event; `place` in the log makes it one of a kind."""
    mixed = (place * 2654435761 + version * 40503) & 0xFFFFFFFF
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
        "ts": f"2026-01-{place // 86400 % 28 + 1:02d}T{place // 3600 % 24:02d}:{place // 60 % 60:02d}:{place % 60:02d}.000Z",
    }


def order(stream_id: str, first: int, count: int) -> list[Event]:
    """Events `first + 1` to `first + count` of one order. No two orders look alike, or compression would flatter."""
    place = zlib.crc32(stream_id.encode())
    return [Event(LIFECYCLE[version % 10], payload(stream_id, version, place + version)) for version in range(first, first + count)]


def order_name(number: int, names: str = "ordered") -> str:
    """The stream id of the n-th order: `ordered` as orders come, or `random` as if each had a UUID."""
    return f"order-{number:08d}" if names == "ordered" else f"order-{hashlib.md5(str(number).encode()).hexdigest()[:12]}"


def history(first: int, count: int, names: str = "ordered", ids: bool = False) -> pa.Table:
    """Places first … first + count - 1 of the log, for append_table: about a thousand orders open at once, ten events each.

    `ids`: with event ids, one correlation id an order, and the event before it as the cause of each.
    """
    return _events(f"place // 10000 * 1000 + place % 1000 as number, place % 10000 // 1000 as version from range({first}, {first + count})",
                   _NAMES[names], ids)  # fmt: skip


def single_orders(first: int, count: int, names: str = "ordered") -> pa.Table:
    """One event each of orders first … first + count - 1."""
    return _events(f"place as number, 0 as version from range({first}, {first + count})", _NAMES[names], ids=False)


def long_stream(first: int, count: int) -> pa.Table:
    """Events first + 1 … first + count of the one long stream."""
    return _events(f"place as number, place as version from range({first}, {first + count})", f"'{LONG_STREAM}'", ids=False)


def _events(rows: str, name: str, ids: bool) -> pa.Table:
    lifecycle = "[" + ", ".join(f"'{kind}'" for kind in LIFECYCLE) + "]"
    given = ", uuidv7()::varchar as event_id" if ids else ""
    linked = """, md5(stream_id)::uuid::varchar as correlation_id,
        coalesce(lag(event_id) over (partition by stream_id order by place), md5('order ' || stream_id)::uuid::varchar) as causation_id"""
    with duckdb.connect() as connection:
        return connection.sql(f"""
            with numbered as (select range as place, {rows}),
            named as (select *, {name} as stream_id, (place * 2654435761 + version * 40503) & 4294967295 as mixed {given} from numbered),
            filled as (select place, stream_id, {lifecycle}[version % 10 + 1] as type, {_DATA} as data {", event_id" if ids else ""} from named)
            select * exclude (place) {linked if ids else ""} from filled order by place
        """).to_arrow_table()

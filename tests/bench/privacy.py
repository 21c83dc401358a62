"""Personal data: what it costs to encrypt two fields of an event of about 190 bytes, to keep them, and to read them again."""

from __future__ import annotations

import statistics
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import msgspec
import orjson
import pyarrow as pa

from store import Aggregate, EventStore, EventType, EventTypes, KeyTable, Personal, load, open_store
from tests.bench.run import Run, ms, seconds

HUNDRED: Final = 100
SUBJECTS: Final = 1_000
NAME: Final = "Ada Augusta King, Countess of Lovelace"


class Placed(msgspec.Struct, frozen=True):
    """As JSON about 190 bytes, of which name and e-mail address are personal."""

    customer: str
    name: str
    email: str
    items: list[str]
    cents: int
    note: str = ""


PLAIN: Final = EventTypes(EventType("Placed", Placed))
SEALED: Final = EventTypes(EventType("Placed", Placed, personal=Personal(["name", "email"], subject="customer")))


def section(run: Run) -> None:
    _append(run)
    _bytes(run)
    _read(run)
    _keys(run)


def _placed(number: int) -> Placed:
    customer = str(number % SUBJECTS)
    return Placed(customer, NAME, f"ada{customer}@example.com", ["tea", "cups"], number, "leave it with the neighbours, please, and ring twice")


def _opened(folder: Path, types: EventTypes) -> EventStore:
    return open_store(folder, create=True, privacy=types.privacy(KeyTable(folder)) if types is SEALED else None)


def _table(count: int) -> pa.Table:
    datas = [orjson.dumps(msgspec.to_builtins(_placed(number))).decode() for number in range(count)]
    streams = [f"order-{number % SUBJECTS}" for number in range(count)]
    return pa.table({"stream_id": streams, "type": ["Placed"] * count, "data": datas})


def _append(run: Run) -> None:
    """Keys are made before: who comes for the first time is told below."""
    run.table("append, events/s", "nothing personal", "two fields", "ratio")
    table = _table(run.sizes.small_events // 10)
    works: dict[str, Callable[[EventStore, EventTypes], int]] = {
        "1 client, 1 event": lambda store, types: _rate(run, store, types, 1),
        f"1 client, {HUNDRED} events": lambda store, types: _rate(run, store, types, HUNDRED),
        f"one Arrow table of {len(table):,}": lambda store, types: _bulk(store, table),
    }
    for what, work in works.items():
        plain, sealed = run.medians(*(lambda folder, types=types, work=work: _measured(folder, types, work) for types in (PLAIN, SEALED)))
        run.row(what, f"{plain:,.0f}", f"{sealed:,.0f}", f"{sealed / plain:.2f}")


def _measured(folder: Path, types: EventTypes, work: Callable[[EventStore, EventTypes], int]) -> float:
    with _opened(folder, types) as store:
        store.append_table(_table(SUBJECTS))
        counts: list[int] = []
        spent = seconds(lambda: counts.append(work(store, types)))
        assert store.head() == SUBJECTS + counts[0]
        return counts[0] / spent


def _rate(run: Run, store: EventStore, types: EventTypes, together: int) -> int:
    appends = max(10, int(run.sizes.seconds * (400 if together == 1 else 100)))
    for number in range(appends):
        first = number * together
        store.append(f"customer-{number}", [types.event(_placed(first + one)) for one in range(together)])
    return appends * together


def _bulk(store: EventStore, table: pa.Table) -> int:
    store.append_table(table)
    return len(table)


def _bytes(run: Run) -> None:
    """Of the data files. What was encrypted does not compress."""
    run.table("bytes an event", "nothing personal", "two fields", "ratio")
    table, sizes = _table(run.sizes.small_events // 10), list[list[float]]()
    for types in (PLAIN, SEALED):
        with _opened(run.folder(), types) as store:
            for start in range(0, len(table), max(1, len(table) // 20)):
                store.append_table(table.slice(start, max(1, len(table) // 20)))
            landed = store.size().data_bytes / len(table)
            store.compact()  # type: ignore[attr-defined]
            sizes.append([landed, store.size().data_bytes / len(table)])
    for what, plain, sealed in zip(("as appended", "compacted"), *sizes, strict=True):
        run.row(what, f"{plain:,.0f}", f"{sealed:,.0f}", f"{sealed / plain:.2f}")


def _read(run: Run) -> None:
    """One stream, read and folded from its first event, with each handle opened anew and footers not yet read."""
    count = run.sizes.small_events // 100
    run.table(f"a stream of {count:,} events, ms", "nothing personal", "two fields", "ratio")
    rows = _table(count)
    rows = rows.set_column(0, "stream_id", pa.array(["order-1"] * count))
    folders = {id(types): run.folder() for types in (PLAIN, SEALED)}
    for types in (PLAIN, SEALED):
        with _opened(folders[id(types)], types) as store:
            store.append_table(rows)
            store.compact()  # type: ignore[attr-defined]
    ways: dict[str, Callable[[EventStore, Aggregate[int]], object]] = {
        "read_stream, tokens as they are": lambda store, orders: store.read_stream("order-1"),
        "load": lambda store, orders: load(store, orders, "1"),
    }
    for what, way in ways.items():
        spent = [_median(run, folders[id(types)], types, types, way) for types in (PLAIN, SEALED)]
        run.row(what, *map(ms, spent), f"{spent[1] / spent[0]:.2f}")
    keyless = _median(run, folders[id(SEALED)], PLAIN, SEALED, ways["load"])
    run.row("load without keys", ms(spent[0]), ms(keyless), f"{keyless / spent[0]:.2f}")


def _median(run: Run, folder: Path, opened: EventTypes, types: EventTypes, way: Callable[[EventStore, Aggregate[int]], Any]) -> float:
    orders = Aggregate(category="order", initial=0, evolve=lambda total, event: total + event.cents, types=types)
    spent = []
    for _ in range(run.sizes.repeats):
        with _opened(folder, opened) as store:
            spent.append(seconds(lambda store=store: way(store, orders)))  # type: ignore[misc]
    return statistics.median(spent)


def _keys(run: Run) -> None:
    run.table("keys in the table", "ms", "µs a key")
    many = [f"subject {number}" for number in range(min(SUBJECTS, run.sizes.cold))]
    with _opened(folder := run.folder(), SEALED) as store:
        keyring = SEALED.privacy(table := KeyTable(folder)).keyring
        for what, work in {
            "made for a new subject, durably": lambda: keyring.sealing(["somebody"]),
            f"made for {len(many):,} new subjects, in one commit": lambda: keyring.sealing(many),
            f"{len(many):,} found in memory": lambda: keyring.sealing(many),
            f"{len(many):,} found in the table": lambda: table.newest(many),
            "deleted, with the files that held it": lambda: store.privacy.forget("somebody", by="the bench", why="to measure it"),
        }.items():
            spent, count = seconds(work), len(many) if what[0].isdigit() or "in one" in what else 1
            run.row(what, ms(spent), f"{spent / count * 1e6:,.1f}")

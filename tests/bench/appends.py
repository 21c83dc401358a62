"""Rates of durable appends."""

from __future__ import annotations

import asyncio
import itertools
import threading
import time
from pathlib import Path

import pyarrow as pa

from store import open_store
from tests.bench.workload import order


def clients(folder: Path, count: int, batch: int, seconds: float) -> float:
    """Events/s of threads that append `batch` events at a time, each to its own orders, at an exact version."""
    counts = [0] * count
    with open_store(str(folder / "ours"), create=True) as store:
        end = time.perf_counter() + seconds

        def client(number: int) -> None:
            for turn in itertools.count():
                if time.perf_counter() > end:
                    return
                stream_id, version = f"order-{number}-{turn // 10}", turn % 10 * batch
                store.append(stream_id, order(stream_id, version, batch), version)
                counts[number] += batch

        threads = [threading.Thread(target=client, args=(number,)) for number in range(count)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    return sum(counts) / seconds


def tasks(folder: Path, count: int, seconds: float) -> float:
    """Events/s of asyncio tasks, one event at a time."""
    appended = 0

    async def run() -> None:
        end = time.perf_counter() + seconds

        async def client(number: int) -> None:
            nonlocal appended
            for turn in itertools.count():
                if time.perf_counter() > end:
                    return
                stream_id, version = f"order-{number}-{turn // 10}", turn % 10
                await store.aio.append(stream_id, order(stream_id, version, 1), version)
                appended += 1

        await asyncio.gather(*(client(number) for number in range(count)))

    with open_store(str(folder / "ours"), create=True) as store:
        asyncio.run(run())
    return appended / seconds


def python_events(folder: Path, count: int, batch: int) -> float:
    """Events/s of one client that appends ready Event objects, `batch` to a stream."""
    ready = [order(f"bulk-{number}", 0, batch) for number in range(count // batch)]
    with open_store(str(folder / "ours"), create=True) as store:
        began = time.perf_counter()
        for number, events in enumerate(ready):
            store.append(f"bulk-{number}", events, 0)
        return count / (time.perf_counter() - began)


def table(folder: Path, events: pa.Table) -> float:
    """Events/s of one append_table."""
    with open_store(str(folder / "ours"), create=True) as store:
        began = time.perf_counter()
        store.append_table(events)
        return len(events) / (time.perf_counter() - began)

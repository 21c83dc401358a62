"""What the disk, Python and plain deltalake allow here, measured in the same run as the store."""

from __future__ import annotations

import asyncio
import os
import threading
import time
from pathlib import Path

import pyarrow as pa
from deltalake import write_deltalake

EVENT = b"x" * 200


def raw_append(folder: Path, batch: int, seconds: float) -> float:
    """Events/s of one writer that appends `batch` events to a file and calls fdatasync."""
    file, data, count = _log(folder), EVENT * batch, 0
    end = time.perf_counter() + seconds
    while time.perf_counter() < end:
        os.write(file, data)
        os.fdatasync(file)
        count += batch
    os.close(file)
    return count / seconds


def raw_threads(folder: Path, clients: int, seconds: float) -> float:
    """Events/s of threads that share one flush: nothing but the protocol of group commit."""
    file, guard, flush = _log(folder), threading.Lock(), threading.Lock()
    batches: list[list[bytes]] = [[]]
    synced: dict[int, bool] = {}
    counts = [0] * clients
    end = time.perf_counter() + seconds

    def client(number: int) -> None:
        while time.perf_counter() < end:
            with guard:
                batch = batches[0]
                batch.append(EVENT)
            with flush:
                if id(batch) not in synced or batch is batches[0]:
                    with guard:
                        batches[0] = []
                    os.write(file, b"".join(batch))
                    os.fdatasync(file)
                    synced[id(batch)] = True
            counts[number] += 1

    threads = [threading.Thread(target=client, args=(number,)) for number in range(clients)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    os.close(file)
    return sum(counts) / seconds


def raw_tasks(folder: Path, clients: int, seconds: float) -> float:
    """The same with asyncio tasks, flushed on the loop itself."""
    file, waiting, count = _log(folder), list[asyncio.Future[None]](), 0

    async def run() -> None:
        loop = asyncio.get_running_loop()
        end = time.perf_counter() + seconds

        def commit() -> None:
            batch = waiting[:]
            waiting.clear()
            os.write(file, EVENT * len(batch))
            os.fdatasync(file)
            for future in batch:
                future.set_result(None)

        async def client() -> None:
            nonlocal count
            while time.perf_counter() < end:
                future = loop.create_future()
                if not waiting:
                    loop.call_soon(commit)
                waiting.append(future)
                await future
                count += 1

        await asyncio.gather(*(client() for _ in range(clients)))

    asyncio.run(run())
    os.close(file)
    return count / seconds


def plain_deltalake(folder: Path, events: pa.Table, seconds: float) -> float:
    """Events/s of `write_deltalake` of the same 13 columns, again and again. It never calls fsync."""
    place, count = str(folder / "plain"), 0
    began = time.perf_counter()
    while (spent := time.perf_counter() - began) < seconds:
        write_deltalake(place, events, mode="append")
        count += len(events)
    return count / spent


def _log(folder: Path) -> int:
    return os.open(folder / "raw.log", os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_APPEND)

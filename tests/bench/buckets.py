"""Writers on an object store: throughput, latency and requests, by how long a request takes and how many processes write."""

from __future__ import annotations

import asyncio
import itertools
import os
import subprocess
import sys
import tempfile
import time
import uuid
from collections import Counter
from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager
from functools import partial
from tempfile import TemporaryDirectory
from typing import Final, NamedTuple
from unittest.mock import patch

from store import OutcomeUnknownError, Requests, StorageError, StorageUnavailableError, open_store
from store.observer import Committed, Measurement
from tests.bench.appends import check_head
from tests.bench.children import together
from tests.bench.run import Run, ms, percentile
from tests.bench.workload import order
from tests.store.storage.proxy import Fault, Proxy, Relay, Throttle, passed, unavailable

TASKS: Final = 64
"""Clients of each process."""
LATENCIES_MS: Final = (5, 50, 200)
PROCESSES: Final = (1, 4)
"""Of one machine, which take turns."""
MACHINES: Final = (2, 4, 8)
"""With a process each."""
_KEYS: Final = {"AWS_ACCESS_KEY_ID": "bench", "AWS_SECRET_ACCESS_KEY": "bench", "AWS_REGION": "us-east-1"}


class Writer(NamedTuple):
    """What one process did: each append's own seconds, all of them together, commits and the tries they took, appends repeated after a failure."""

    latencies_s: list[float]
    seconds: float
    commits: int
    tries: int
    repeated: int


class Raced(NamedTuple):
    """What all processes appended, and what was asked of the store meanwhile, by method."""

    writers: list[Writer]
    requests: Counter[str]

    @property
    def latencies_s(self) -> list[float]:
        return [latency for writer in self.writers for latency in writer.latencies_s]

    @property
    def commits(self) -> int:
        return sum(writer.commits for writer in self.writers)

    @property
    def seconds(self) -> float:
        return max(writer.seconds for writer in self.writers)


def section(run: Run) -> None:
    run.table(f"{TASKS} asyncio tasks a process, on S3", *NUMBERS)
    with bucket() as (proxy, place):
        slow: dict[str, Callable[[], Fault]] = {f"{latency} ms a request": partial(after, latency / 1000) for latency in LATENCIES_MS}
        hard = {
            "5 ms, every 20th answer 503": lambda: faulty(after(0.005)),
            "5 ms, 20 requests/s, else SlowDown": lambda: Throttle(20, 10, after(0.005)),
            "20 ms, every other second 200 ms": lambda: rough(0.02, 0.2),
        }
        for what, fault in {**slow, **hard}.items():
            for machines, processes in [(1, count) for count in PROCESSES] + [(count, 1) for count in MACHINES]:
                if machines * processes <= run.sizes.writers:
                    proxy.always = fault()
                    raced = race(proxy, f"{place}/{uuid.uuid4().hex}", machines, processes, run.sizes.seconds)
                    run.row(what, str(machines), str(processes), *told(raced))


NUMBERS: Final = (
    "machines", "processes on each", "events/s", "events a commit", "tries a commit", "p50, ms", "p99, ms", "longest, ms", "busiest / slowest",
    "requests a commit", "$ a million events", "appends repeated",
)  # fmt: skip


def told(raced: Raced) -> list[str]:
    counts, requests, commits = [len(writer.latencies_s) for writer in raced.writers], sum(raced.requests.values()), max(raced.commits, 1)
    tries = sum(writer.tries for writer in raced.writers)
    waits = (ms(percentile(raced.latencies_s, share)) for share in (0.5, 0.99, 1.0))
    cost = dollars(raced.requests) / max(sum(counts), 1) * 1e6
    return [
        f"{sum(counts) / raced.seconds:,.0f}", f"{sum(counts) / commits:,.1f}", f"{tries / commits:.2f}", *waits,
        f"{max(counts) / max(1, min(counts)):.1f}", f"{requests / commits:.1f}", f"{cost:.2f}",
        str(sum(writer.repeated for writer in raced.writers)),
    ]  # fmt: skip


def dollars(asked: Counter[str]) -> float:
    reads = asked["GET"] + asked["HEAD"]
    return Requests(asked.total() - reads, reads).dollars()


def race(proxy: Proxy, place: str, machines: int, processes: int, seconds: float) -> Raced:
    """No event is lost or doubled, or the measurement fails."""
    with open_store(place, create=True) as store, TemporaryDirectory() as folder:
        proxy.asked.clear()
        homes = [tempfile.mkdtemp(dir=folder) for _ in range(machines)]
        writers = together(clients, [(place, f"{home}-{number}", home, seconds) for home in homes for number in range(processes)])
        requests = Counter(map(_method, proxy.asked))
        check_head(store, sum(len(writer.latencies_s) for writer in writers))
        return Raced(writers, requests)


def clients(place: str, name: str, home: str, seconds: float) -> Generator[None, None, Writer]:
    """Each appends one event at a time. Processes of one machine have a temporary directory, `home`, in common, by which they take turns."""
    tempfile.tempdir = home
    latencies: list[float] = []
    seen, repeated = Commits(), 0

    async def client(task: int, end: float) -> None:
        nonlocal repeated
        for turn in itertools.count():
            began = time.perf_counter()
            if began > end:
                return
            stream_id = f"order-{name}-{task}-{turn // 10}"
            events, done = order(stream_id, turn % 10, 1), False
            while not done:
                try:
                    await store.aio.append(stream_id, events, turn % 10)
                    done = True
                except (StorageError, OutcomeUnknownError) as failure:
                    repeated += 1
                    await asyncio.sleep(failure.retry_after_s if isinstance(failure, StorageUnavailableError) else 0)
            latencies.append(time.perf_counter() - began)

    async def everyone() -> None:
        end = time.perf_counter() + seconds
        await asyncio.gather(*(client(task, end) for task in range(TASKS)))

    with open_store(place, observer=seen) as store:
        yield
        began = time.perf_counter()
        asyncio.run(everyone())
        return Writer(latencies, time.perf_counter() - began, seen.commits, seen.tries, repeated)


class Commits:
    """Counts what they took."""

    def __init__(self) -> None:
        self.commits = self.tries = 0

    def record(self, measurement: Measurement) -> None:
        if isinstance(measurement, Committed):
            self.commits += 1
            self.tries += measurement.attempts


def after(seconds: float) -> Fault:
    """Each request takes so much longer."""

    def wait(relay: Relay) -> None:
        time.sleep(seconds)
        passed(relay)

    return wait


def rough(calm_s: float, rough_s: float) -> Fault:
    """Each request takes so much longer, and every other second as much as `rough_s`."""

    def wait(relay: Relay) -> None:
        time.sleep(rough_s if int(time.monotonic()) % 2 else calm_s)
        passed(relay)

    return wait


def faulty(fault: Fault) -> Fault:
    """Every twentieth time the store says that it is busy."""
    count = itertools.count(1)

    def busy(relay: Relay) -> None:
        (unavailable if next(count) % 20 == 0 else fault)(relay)

    return busy


@contextmanager
def bucket() -> Iterator[tuple[Proxy, str]]:
    """An S3 in a process of its own, and what stands before it and counts; the environment leads there."""
    command = [sys.executable, "-c", _SERVER]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stdin=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as server:
        assert server.stdout is not None
        proxy = Proxy(server.stdout.readline().strip())
        others = {name: value for name, value in os.environ.items() if not name.startswith("AWS_")}
        with patch.dict(os.environ, {**others, **_KEYS, "AWS_ENDPOINT_URL": proxy.endpoint}, clear=True):
            yield proxy, "s3://bench"
        proxy.close()
        server.terminate()


_SERVER: Final = """
import sys
import boto3
from tests.s3 import S3Server
server = S3Server()
server.start()
endpoint = server.endpoint
keys = {"aws_access_key_id": "bench", "aws_secret_access_key": "bench"}
boto3.client("s3", endpoint_url=endpoint, region_name="us-east-1", **keys).create_bucket(Bucket="bench")
print(endpoint, flush=True)
sys.stdin.read()
"""


def _method(asked: tuple[str, str]) -> str:
    method, path = asked
    return "LIST" if method == "GET" and "list-type=" in path else method

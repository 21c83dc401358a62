"""Writers on an object store: throughput, latency and requests, by how long a request takes and how many processes write."""

from __future__ import annotations

import asyncio
import itertools
import os
import subprocess
import sys
import time
import uuid
from collections import Counter
from collections.abc import Generator, Iterator, Mapping
from contextlib import contextmanager
from typing import Final, NamedTuple
from unittest.mock import patch

from store import open_store
from tests.bench.appends import check_head
from tests.bench.children import together
from tests.bench.run import Run, ms, percentile
from tests.bench.workload import order
from tests.store.storage.proxy import Fault, Proxy, Relay, passed, unavailable

TASKS: Final = 64
"""Clients of each process."""
LATENCIES_MS: Final = (5, 50, 200)
PROCESSES: Final = (1, 4)
DOLLARS: Final[Mapping[str, float]] = {"PUT": 5e-6, "POST": 5e-6, "LIST": 5e-6, "GET": 4e-7, "HEAD": 4e-7, "DELETE": 0.0}
"""A request, by what S3 Standard asks in us-east-1 (aws.amazon.com/s3/pricing, 2026)."""
_KEYS: Final = {"AWS_ACCESS_KEY_ID": "bench", "AWS_SECRET_ACCESS_KEY": "bench", "AWS_REGION": "us-east-1"}


class Raced(NamedTuple):
    """What all processes appended in `seconds`, each append's own seconds, and what was asked of the store meanwhile, by method."""

    latencies_s: list[float]
    commits: int
    seconds: float
    requests: Counter[str]


def section(run: Run) -> None:
    numbers = ("processes", "events/s", "events a commit", "p50, ms", "p99, ms", "requests a commit", "$ a million events")
    run.table(f"{TASKS} asyncio tasks a process, on S3", *numbers)
    with bucket() as (proxy, place):
        slow = {f"{latency} ms a request": after(latency / 1000) for latency in LATENCIES_MS}
        for what, fault in {**slow, "5 ms, every 20th answer 503": faulty(after(0.005))}.items():
            proxy.always = fault
            for processes in [count for count in PROCESSES if count <= run.sizes.writers]:
                raced = race(proxy, f"{place}/{uuid.uuid4().hex}", processes, run.sizes.seconds)
                run.row(what, str(processes), *_told(raced))


def _told(raced: Raced) -> list[str]:
    events, requests = len(raced.latencies_s), sum(raced.requests.values())
    p50, p99 = (ms(percentile(raced.latencies_s, share)) for share in (0.5, 0.99))
    commits = max(raced.commits, 1)
    cost = dollars(raced.requests) / max(events, 1) * 1e6
    return [f"{events / raced.seconds:,.0f}", f"{events / commits:,.1f}", p50, p99, f"{requests / commits:.1f}", f"{cost:.2f}"]


def dollars(requests: Mapping[str, int]) -> float:
    return sum(DOLLARS[method] * count for method, count in requests.items())


def race(proxy: Proxy, place: str, processes: int, seconds: float) -> Raced:
    """No event is lost or doubled, or the measurement fails."""
    with open_store(place, create=True) as store:
        before = store.size().delta_version
        proxy.asked.clear()
        parts = together(clients, [(place, number, seconds) for number in range(processes)])
        requests = Counter(map(_method, proxy.asked))
        latencies = list(itertools.chain(*(latencies for latencies, _ in parts)))
        check_head(store, len(latencies))
        return Raced(latencies, store.size().delta_version - before, max(spent for _, spent in parts), requests)


def clients(place: str, number: int, seconds: float) -> Generator[None, None, tuple[list[float], float]]:
    """Each appends one event at a time: how long each took, and all of it together."""
    latencies: list[float] = []

    async def client(task: int, end: float) -> None:
        for turn in itertools.count():
            began = time.perf_counter()
            if began > end:
                return
            stream_id = f"order-{number}-{task}-{turn // 10}"
            await store.aio.append(stream_id, order(stream_id, turn % 10, 1), turn % 10)
            latencies.append(time.perf_counter() - began)

    async def everyone() -> None:
        end = time.perf_counter() + seconds
        await asyncio.gather(*(client(task, end) for task in range(TASKS)))

    with open_store(place) as store:
        yield
        began = time.perf_counter()
        asyncio.run(everyone())
        return latencies, time.perf_counter() - began


def after(seconds: float) -> Fault:
    """Each request takes so much longer."""

    def wait(relay: Relay) -> None:
        time.sleep(seconds)
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
from moto.server import ThreadedMotoServer
server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
server.start()
endpoint = "http://%s:%s" % server.get_host_and_port()
keys = {"aws_access_key_id": "bench", "aws_secret_access_key": "bench"}
boto3.client("s3", endpoint_url=endpoint, region_name="us-east-1", **keys).create_bucket(Bucket="bench")
print(endpoint, flush=True)
sys.stdin.read()
"""


def _method(asked: tuple[str, str]) -> str:
    method, path = asked
    return "LIST" if method == "GET" and "list-type=" in path else method

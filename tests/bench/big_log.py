"""The big log: a million orders of ten events each and one long stream, appended as tables, then compacted."""

from __future__ import annotations

import random
import time
from pathlib import Path
from typing import NamedTuple

from store import open_store
from tests.bench import upkeep
from tests.bench.workload import history, long_stream, order_name

CHUNK = 1_000_000
"""Rows of one append_table."""


class BigLog(NamedTuple):
    """Where it is, how many events and orders it has, and what it took to make."""

    place: Path
    orders: int
    events: int
    long_stream: int
    names: str
    append_s: float
    compact_s: float

    def picked(self, count: int) -> list[str]:
        """The same orders in every run, by their ids."""
        numbers = random.Random(11).sample(range(self.orders), min(count, self.orders))
        return [order_name(number, self.names).removeprefix("order-") for number in numbers]


def build(folder: Path, events: int, names: str) -> BigLog:
    """A hundredth as many events again are those of the long stream, spread over the whole log."""
    place, spent, spread = folder / "big", 0.0, 0
    with open_store(str(place), create=True) as store:
        for first in range(0, events, CHUNK):
            count = min(CHUNK, events - first)
            for table in (history(first, count, names), long_stream(spread, count // 100)):
                began = time.perf_counter()
                store.append_table(table)
                spent += time.perf_counter() - began
            spread += count // 100
        began = time.perf_counter()
        upkeep.compact(store)
        return BigLog(place, events // 10, events + spread, spread, names, spent, time.perf_counter() - began)

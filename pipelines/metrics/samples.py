"""Metrics as they were at one time after another: a Delta table of the warehouse, which any engine reads."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Final, NamedTuple

import orjson
import pyarrow as pa
import pyarrow.compute as pc
from prometheus_client.core import Metric

from store import KeyedTable

PREFIX: Final = "alluvium_"
MOST: Final = 20_000
"""Samples of one time."""
_TIME: Final = pa.timestamp("us", tz="UTC")
SAMPLES: Final = pa.schema(
    [("sampled_at", _TIME), ("source", pa.string()), ("metric", pa.string()), ("labels", pa.string()), ("value", pa.float64())]
)
"""The columns of the table `metrics`."""
_KEY: Final = ("sampled_at", "source", "metric", "labels")


class Sample(NamedTuple):
    """`source`: the address that told it; empty for the warehouse itself. `labels`: JSON, the names in order."""

    source: str
    metric: str
    labels: str
    value: float


class Samples:
    """The table `metrics` of a warehouse, with the columns of SAMPLES. It is small, and derivable by nobody: what was is known from here alone."""

    def __init__(self, warehouse: str) -> None:
        self.uri = f"{warehouse.rstrip('/')}/metrics"
        self._table = KeyedTable(self.uri, "metrics", SAMPLES, _KEY, description="What processes did and what the warehouse held, over time.")

    def latest(self) -> tuple[datetime | None, list[Sample]]:
        """The newest samples, and of when they are; None and nothing before the first."""
        rows = self._table.last_rows(MOST)
        if not len(rows):
            return None, []
        newest = rows["sampled_at"][-1]
        last = rows.filter(pc.equal(rows["sampled_at"], newest))
        return newest.as_py(), [Sample(*values) for values in zip(*(last[name].to_pylist() for name in SAMPLES.names[1:]), strict=True)]

    def add(self, sampled_at: datetime, samples: Sequence[Sample], oldest: datetime) -> int:
        """Keep these, and forget those from before `oldest`, in one commit; how many are kept in all. TableMovedError: another was first.

        ValueError: more than MOST.
        """
        if len(samples) > MOST:
            raise ValueError(f"{len(samples):,} samples of one time: name fewer sources, or less talkative ones; {MOST:,} are kept at most")
        turn, samples = self._table.turn(), list({sample[:3]: sample for sample in samples}.values())
        fresh = pa.Table.from_pylist([{"sampled_at": sampled_at, **sample._asdict()} for sample in samples], SAMPLES)
        oldest_kept = self._table.rows(_KEY, 2 * MOST)     # the first ones by time: more than one time brings
        turn.commit(fresh, oldest_kept.filter(pc.less(oldest_kept["sampled_at"], pa.scalar(oldest, _TIME))), {})
        return turn.state.row_count


def samples_of(source: str, metrics: Iterable[Metric]) -> list[Sample]:
    """Those of Alluvium; when a counter began is left out."""
    return [
        Sample(source, one.name, orjson.dumps(one.labels, option=orjson.OPT_SORT_KEYS).decode(), one.value)
        for metric in metrics
        for one in metric.samples
        if one.name.startswith(PREFIX) and not one.name.endswith("_created")
    ]

"""The few numbers that a person watches, out of the samples of two times."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import orjson

from pipelines.metrics.samples import Sample

_CONFLICTS = ("WrongExpectedVersionError", "ConditionFailedError")


def summary(now: Sequence[Sample], before: Sequence[Sample], seconds: float | None) -> dict[str, Any]:
    """`seconds` between the two; None: there was none before, so nothing is told that takes two. What nobody measured is left out."""
    storage = _total(now, "alluvium_table_bytes")
    told = {
        "head": _total(now, "alluvium_head"),
        "storage_bytes": storage,
        "files": _total(now, "alluvium_table_files"),
        "lag_events": _most(now, "alluvium_lag_events"),
        "lag_s": _most(now, "alluvium_lag_seconds"),
        "dead_letters": _total(now, "alluvium_dead_letters"),
        "circuits_open": sum(one.metric == "alluvium_circuit_state" and one.value == 2 for one in now),
    }
    if seconds is None:
        return told
    grown = Growth(before, now)
    committed, conflicts = grown.of("alluvium_appends_total"), sum(grown.of("alluvium_refusals_total", reason=reason) for reason in _CONFLICTS)
    told |= {
        "events_per_s": (told["head"] - _total(before, "alluvium_head")) / seconds,
        "storage_growth_bytes": storage - _total(before, "alluvium_table_bytes"),
        "applied_events_per_s": grown.of("alluvium_applied_events_total") / seconds,
        "snapshots_saved": grown.of("alluvium_snapshots_total"),
    }
    return told | _measured(
        commit_ms=1e3 * grown.mean("alluvium_commit_seconds"),
        load_ms=1e3 * grown.mean("alluvium_load_seconds"),
        snapshot_ms=1e3 * grown.mean("alluvium_snapshot_seconds"),
        conflict_share=_share(conflicts, committed),
        cache_hit_share=_share(grown.of("alluvium_cache_hits_total"), grown.of("alluvium_cache_misses_total")),
    )


class Growth:
    """Of counters from one time to another. One that is smaller now than before began anew, with its process: all of it is new."""

    def __init__(self, before: Iterable[Sample], now: Iterable[Sample]) -> None:
        known = {one[:3]: one.value for one in before}
        self._grown = [(one, one.value - base if (base := known.get(one[:3], 0.0)) <= one.value else one.value) for one in now]

    def of(self, metric: str, **labels: str) -> float:
        return sum(grown for one, grown in self._grown if one.metric == metric and labels.items() <= orjson.loads(one.labels).items())

    def mean(self, histogram: str) -> float:
        """NaN: nothing was measured."""
        count = self.of(f"{histogram}_count")
        return self.of(f"{histogram}_sum") / count if count else float("nan")


def _measured(**told: float) -> dict[str, float]:
    return {name: value for name, value in told.items() if value == value}


def _share(part: float, rest: float) -> float:
    """NaN: of nothing."""
    return part / (part + rest) if part + rest else float("nan")


def _total(samples: Iterable[Sample], metric: str) -> float:
    return sum(one.value for one in samples if one.metric == metric)


def _most(samples: Iterable[Sample], metric: str) -> float:
    return max((one.value for one in samples if one.metric == metric), default=0.0)

"""Constants so small that few events come by every path, and as many runs of a machine of laws as a suite can bear."""

from __future__ import annotations

import math

import pytest
from hypothesis import HealthCheck, Phase, settings

from store.delta import commits, committer, compaction, delta_store, heads, log, log_cleanup, part, reader, segment, segment_files, trail, upkeep


def shrink(monkeypatch: pytest.MonkeyPatch) -> None:
    """Leaf shards, several runs and windows, lists left out, memories that overflow, upkeep at every fourth commit.

    But what retention hides it leaves alone: a model cannot tell when a thread removes it.
    """
    for module in (commits, committer):
        monkeypatch.setattr(module, "LISTED_STREAMS", 3)
    monkeypatch.setattr(segment, "LEAF_ROWS", 2)
    monkeypatch.setattr(segment, "RUN_ROWS", 32)
    monkeypatch.setattr(segment, "SECTION_ROWS", 8)
    monkeypatch.setattr(compaction, "JOINED_RUNS", 2)
    monkeypatch.setattr(compaction, "DUE_RUNS", 4)
    monkeypatch.setattr(part, "ROW_GROUP_ROWS", 4)
    monkeypatch.setattr(part, "_FEW", 2)
    monkeypatch.setattr(reader, "BATCH_ROWS", 4)
    monkeypatch.setattr(segment_files, "KEPT_BYTES", 10_000)
    monkeypatch.setattr(heads, "REMEMBERED_IDS", 10)
    monkeypatch.setattr(heads, "REMEMBERED_STREAMS", 3)
    monkeypatch.setattr(heads, "FEW", 2)
    monkeypatch.setattr(heads, "READS_WITHOUT", 0)
    monkeypatch.setattr(heads, "STALE_EVENTS", 10)
    monkeypatch.setattr(trail, "KEPT", 4)
    monkeypatch.setattr(delta_store, "NEAR", 6)
    monkeypatch.setattr(upkeep, "LOOK_EVERY", 4)
    monkeypatch.setattr(upkeep, "CHECKPOINT_EVERY", 10)
    monkeypatch.setattr(upkeep, "CLEAN_EVERY_S", 0)
    monkeypatch.setattr(upkeep, "KEPT_FILES", 5)
    monkeypatch.setattr(upkeep, "REMOVE_EVERY_S", math.inf)


def sleep_always(monkeypatch: pytest.MonkeyPatch) -> None:
    """Log files go at once, so nobody may rely on having seen the log a moment ago."""
    monkeypatch.setattr(log, "ASLEEP_S", 0)
    monkeypatch.setattr(log_cleanup, "YOUNGEST_S", 0)


def runs(examples: int, steps: int) -> settings:
    """Failures are not made smaller: on a disk that takes minutes."""
    return settings(
        max_examples=examples, stateful_step_count=steps, deadline=None, phases=[Phase.generate], suppress_health_check=list(HealthCheck)
    )

"""What is simulated is what the store does: both are driven through the same commits, and everything that can be counted is compared."""

from __future__ import annotations

import os
from collections import Counter
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from store import open_store
from store.delta import compaction, head_runs, log_cleanup, segment, upkeep
from store.delta.delta_store import DeltaEventStore
from store.observer import Checkpointed, Cleaned, Committed, Compacted, Measurement, Vacuumed
from tests.scale.costs import requests
from tests.scale.load import Load
from tests.scale.simulation import SimulatedLog, simulated


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """The layout made small, so that some thousand events go through all that becomes of a log; shards get many streams all the same."""
    for module, name, number in (
        (segment, "RUN_ROWS", 512), (segment, "SECTION_ROWS", 128), (segment, "LEAF_ROWS", 32),
        (compaction, "DUE_RUNS", 16), (compaction, "JOINED_RUNS", 2),
        (upkeep, "LOOK_EVERY", 4), (upkeep, "CHECKPOINT_EVERY", 20), (upkeep, "CHECKPOINT_ROWS", 300),
        (upkeep, "CLEAN_EVERY_S", 0.0), (upkeep, "KEPT_FILES", 40), (log_cleanup, "YOUNGEST_S", 0.0),
    ):  # fmt: skip
        monkeypatch.setattr(module, name, number)
    monkeypatch.setattr(os, "fsync", lambda file: None)       # nothing that is counted depends on it


class Tally:
    """An observer that counts what the simulation counts."""

    def __init__(self) -> None:
        self.totals: Counter[str] = Counter()

    def record(self, measurement: Measurement) -> None:
        match measurement:
            case Committed():
                self.totals["appends"] += 1
            case Compacted():
                self.totals += Counter({"merges": 1, "merged rows": measurement.events, "files read": measurement.files_before})
            case Checkpointed():
                self.totals += Counter({"checkpoints": 1, "heads written": measurement.head_streams})
            case Cleaned():
                self.totals += Counter({"log files removed": measurement.files})
            case Vacuumed():
                self.totals += Counter({"vacuums": 1, "files vacuumed": measurement.files})


def count_asked(store: DeltaEventStore, verb: str, tally: Tally) -> None:
    """Count what is asked of storage from now on."""
    asked = getattr(store._objects, verb)

    def counted(*arguments: Any) -> Any:
        tally.totals["lists" if verb == "list" else "puts"] += 1
        return asked(*arguments)

    setattr(store._objects, verb, counted)


def written(place: Path, load: Load) -> tuple[DeltaEventStore, Tally]:
    """The load, by the store; its upkeep looks when it is due, while no commit is under way."""
    tally = Tally()
    store = open_store(str(place), create=True, observer=tally)
    for verb in ("put", "put_if_absent", "replace", "list"):
        count_asked(store, verb, tally)
    store._upkeep.committed = lambda events: False  # type: ignore[method-assign]
    for commits, first in enumerate(range(0, load.events, load.events_per_commit), start=1):
        rows = min(load.events_per_commit, load.events - first)
        streams = [f"s-{number // load.events_per_stream}" for number in range(first, first + rows)]
        store.append_table(pa.table({"stream_id": streams, "type": ["Happened"] * rows, "data": ["{}"] * rows}))
        if commits % upkeep.LOOK_EVERY == 0 or rows >= upkeep.CHECKPOINT_ROWS:
            store._upkeep._look()
    return store, tally


COUNTED = ("appends", "merges", "merged rows", "files read", "checkpoints", "heads written", "log files removed", "vacuums", "files vacuumed")


@pytest.mark.usefixtures("small")
@pytest.mark.parametrize(
    "load",
    [
        Load(events=2_400, events_per_s=1_000, events_per_commit=16, events_per_stream=1),
        Load(events=2_000, events_per_s=1_000, events_per_commit=30, events_per_stream=5),
        Load(events=4_000, events_per_s=1_000, events_per_commit=700, events_per_stream=2),
    ],
    ids=["few a commit", "events of a stream together", "tables"],
)
def test_a_log_becomes_what_is_simulated(load: Load, tmp_path: Path) -> None:
    expected = SimulatedLog(load)
    expected.run(load.events)
    store, tally = written(tmp_path, load)
    with store:
        assert {name: tally.totals[name] for name in COUNTED} == {name: expected.totals[name] for name in COUNTED}
        assert tally.totals["puts"] == requests(expected).puts
        assert tally.totals["lists"] == pytest.approx(requests(expected).lists, rel=0.15), "before the first checkpoint none is needed"
        files = {(s.shard, s.run) for s in store._log.segments()}
        assert len(files) == store.size().files == expected.live_files()
        assert files >= {(s.shard, s.run) for s in expected.files.values()}
        assert (store.head(), store.size().delta_version) == (expected.head, expected.version)
        assert len(store._log.retired()) == len(expected.retired())
        runs = head_runs.load(store._objects, store.head())
        assert [run.table.num_rows for run in runs] == expected.head_runs
        assert len(list(store._objects.list("_heads"))) == len(runs)
    log = tmp_path / "events" / "_delta_log"
    assert len([*log.glob("*.json"), *log.glob("*.parquet")]) == len(expected.log_files)


@pytest.mark.usefixtures("small")
def test_what_repeats_may_be_multiplied() -> None:
    load = Load(events=50_000, events_per_s=1_000, events_per_commit=16, events_per_stream=1)
    stepped = SimulatedLog(load)
    stepped.run(load.events)
    quick = simulated(load)
    assert (quick.head, quick.live_files(), quick.live_bytes()) == (stepped.head, stepped.live_files(), stepped.live_bytes())
    written, expected = quick.totals.pop("heads written"), stepped.totals.pop("heads written")
    assert expected / 2 < written < expected * 2, "when two heads files are joined hangs on a few streams"
    assert dict(quick.totals) == pytest.approx(dict(stepped.totals), rel=0.02)
    assert sum(quick.head_runs) == pytest.approx(sum(stepped.head_runs), rel=0.02)


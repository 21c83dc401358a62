from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from store.observer import Failed, Measurement
from store.snapshots import compaction, writing
from store.snapshots.delta_snapshots import DeltaSnapshots
from store.storage.local_objects import LocalObjects


class Seen(list[Measurement]):
    """An observer that remembers."""

    def record(self, measurement: Measurement) -> None:
        self.append(measurement)

    def failures(self) -> list[str]:
        return [seen.error for seen in self if isinstance(seen, Failed) and seen.work == "snapshots"]


@pytest.fixture
def seen() -> Seen:
    return Seen()


@pytest.fixture
def opened(tmp_path: Path, seen: Seen) -> Callable[[], DeltaSnapshots]:
    """Another handle on the same table, which looks at the log in every call."""
    return lambda: DeltaSnapshots(LocalObjects(tmp_path / "snapshots"), seen, fresh_s=0.0)


@pytest.fixture
def snapshots(opened: Callable[[], DeltaSnapshots]) -> DeltaSnapshots:
    return opened()


@pytest.fixture
def small_layout(monkeypatch: pytest.MonkeyPatch) -> None:
    """A few hundred snapshots have leaves, sections and row groups of every kind."""
    monkeypatch.setattr(writing, "LEAF_ROWS", 8)
    monkeypatch.setattr(writing, "GROUP_ROWS", 4)
    monkeypatch.setattr(writing, "LISTED_STREAMS", 16)
    monkeypatch.setattr(compaction, "PUSHED_ROWS", 32)
    monkeypatch.setattr(compaction, "SECTION_BYTES", 2_000)

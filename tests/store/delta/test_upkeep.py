"""Checkpoints change files, never what is read; a writer merges and checkpoints by itself."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa
import pytest

from store import Event, EventStore, open_store
from store.delta.delta_store import DeltaEventStore
from store.observer import Checkpointed, Compacted, Measurement


@pytest.fixture
def store(tmp_path: Path) -> Iterator[DeltaEventStore]:
    with open_store(str(tmp_path), create=True) as store:
        yield store


def fill(store: EventStore, commits: int) -> None:
    for number in range(commits):
        store.append(f"s-{number % 5}", [Event("Happened", {"number": number}, tags=[f"t{number % 3}"])])


def everything(store: DeltaEventStore) -> pa.Table:
    return store.read_all().read_all()


def test_checkpoint_opens_to_the_same_state(store: DeltaEventStore, tmp_path: Path) -> None:
    fill(store, 20)
    store.compact()
    store.checkpoint()
    fill(store, 3)
    with open_store(str(tmp_path)) as other:
        assert everything(other).equals(everything(store))
        assert other.stream_version("s-0") == 5


def test_opening_does_without_the_commits_before_a_checkpoint(store: DeltaEventStore, tmp_path: Path) -> None:
    fill(store, 20)
    version = store.checkpoint().delta_version
    for commit in range(version):
        (tmp_path / "events" / "_delta_log" / f"{commit:020d}.json").unlink()
    with open_store(str(tmp_path), create=True) as other:
        assert other.head() == 20
        assert other.append("s-0", [Event("Happened", {})], 4).position == 21


def test_compaction_leaves_for_later_what_is_appended_meanwhile(tmp_path: Path) -> None:
    """A writer as fast as the compactor would keep it busy for ever."""

    class Writer:
        def record(self, measurement: Measurement) -> None:
            if isinstance(measurement, Compacted) and store.head() < 40:
                fill(store, 1)

    store = open_store(str(tmp_path), create=True, observer=Writer())
    with store:
        fill(store, 20)
        assert [done.files_before for done in store.compact()] == [20]
        assert store.head() == 21


@pytest.mark.parametrize("torn", ["_last_checkpoint", "{version:020d}.checkpoint.parquet"])
def test_torn_checkpoint_is_done_without(store: DeltaEventStore, tmp_path: Path, torn: str) -> None:
    fill(store, 20)
    version = store.checkpoint().delta_version
    (tmp_path / "events" / "_delta_log" / torn.format(version=version)).write_bytes(b"")
    with open_store(str(tmp_path)) as other:
        assert other.head() == 20


def test_writer_merges_and_checkpoints_by_itself(tmp_path: Path) -> None:
    seen: list[Measurement] = []

    class Seen:
        def record(self, measurement: Measurement) -> None:
            seen.append(measurement)

    with open_store(str(tmp_path), create=True, observer=Seen()) as store:
        fill(store, 700)
        assert everything(store)["position"].to_pylist() == list(range(1, 701))
    assert any(isinstance(m, Compacted) for m in seen)
    assert any(isinstance(m, Checkpointed) for m in seen)
    with open_store(str(tmp_path)) as store:
        assert len(store._log.segments()) < 200


def test_maintain_does_all_that_its_dry_run_announces(store: DeltaEventStore, tmp_path: Path) -> None:
    fill(store, 30)
    before, files = everything(store), {path: path.stat().st_mtime_ns for path in (tmp_path / "events").rglob("*")}
    would = store.maintain(dry_run=True)
    assert {path: path.stat().st_mtime_ns for path in (tmp_path / "events").rglob("*")} == files
    done = store.maintain()
    assert (would.compacted[0].files_before, would.compacted[0].events) == (done.compacted[0].files_before, done.compacted[0].events) == (30, 30)
    assert done.checkpointed.delta_version == would.checkpointed.delta_version + 1
    assert (done.cleaned.files, done.vacuumed.files) == (0, 0)       # too young
    assert everything(store).equals(before)

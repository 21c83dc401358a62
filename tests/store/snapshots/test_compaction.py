"""Compaction: fewer, sorted files in leaves, of what is kept; no answer changes."""

from __future__ import annotations

import random
from collections.abc import Callable
from pathlib import Path

import pytest

from store import Snapshot
from store.shard import shards_of
from store.snapshots import compaction, writing
from store.snapshots.delta_snapshots import DeltaSnapshots
from store.snapshots.memory import MemorySnapshots
from tests.store.snapshots.states import many, snap, versions

Open = Callable[[], DeltaSnapshots]


def live(snapshots: DeltaSnapshots) -> list[tuple[str, int]]:
    return sorted((file.partition, file.rows) for file in snapshots._table.writable().files())


def rows(snapshots: DeltaSnapshots) -> int:
    return sum(count for _, count in live(snapshots))


def some(rng: random.Random, count: int) -> list[Snapshot]:
    return [
        snap(
            rng.randint(1, 30), f"s-{rng.randint(0, 40)}", aggregate=rng.choice(["Account", "Audit"]), schema_version=rng.randint(1, 2),
            keep=2, taken_at=rng.randint(1, 10**9),
        )
        for _ in range(count)
    ]


@pytest.mark.usefixtures("small_layout")
@pytest.mark.parametrize("seed", range(5))
def test_answers_are_those_of_the_reference_before_and_after(snapshots: DeltaSnapshots, opened: Open, seed: int) -> None:
    rng, reference = random.Random(seed), MemorySnapshots()
    for _ in range(40):
        given = some(rng, rng.randint(1, 30))
        snapshots.save(given)
        reference.save(given)
    for handle in (snapshots, opened()):
        for _ in range(2):
            for stream in (f"s-{number}" for number in range(41)):
                for aggregate in ("Account", "Audit"):
                    assert handle.newest(aggregate, stream) == reference.newest(aggregate, stream)
            assert handle.newest_many("Account").equals(reference.newest_many("Account"))
            assert handle.newest_many("Audit", ["s-3", "s-7"]).equals(reference.newest_many("Audit", ["s-3", "s-7"]))
            handle.compact()
    assert rows(snapshots) == len(reference.table())


@pytest.mark.usefixtures("small_layout")
def test_rows_move_down_into_leaves_of_their_streams(snapshots: DeltaSnapshots) -> None:
    for start in range(0, 400, 10):
        snapshots.save([snap(1, f"s-{number}") for number in range(start, start + 10)])
    snapshots.compact()
    assert {len(shard) for shard, _ in live(snapshots)} == {2}
    for file in snapshots._table.writable().files():
        (found,) = snapshots._table.files.read(file, None, None)
        assert all(file.partition in shards_of(stream) for stream in found["stream_id"].to_pylist())
        assert found["stream_id"].to_pylist() == sorted(found["stream_id"].to_pylist())


def test_only_what_is_kept_stays(snapshots: DeltaSnapshots) -> None:
    for version in range(1, 11):
        snapshots.save([snap(version, f"s-{number}", keep=2) for number in range(5)])
    snapshots.compact()
    assert live(snapshots) == [("h", 10)]
    assert versions(snapshots.newest("Account", "s-0")) == [10, 9]


def test_the_newest_says_how_many_stay(snapshots: DeltaSnapshots) -> None:
    """A policy that changes counts from its first snapshot on."""
    for version, keep in ((1, 9), (2, 9), (3, 9), (4, 2)):
        snapshots.save([snap(version, "fewer", keep=keep), snap(version, "more", keep=11 - keep)])
    snapshots.compact()
    assert live(snapshots) == [("h", 6)]
    assert versions(snapshots.newest("Account", "fewer")) == [4, 3]
    assert versions(snapshots.newest("Account", "more")) == [4, 3, 2, 1]


def test_compacting_what_is_compacted_does_nothing(snapshots: DeltaSnapshots) -> None:
    for version in range(1, 4):
        snapshots.save([snap(version)])
    assert len(snapshots.compact()) == 1
    assert snapshots.compact() == snapshots.compact(dry_run=True) == []


def test_dry_run_tells_and_changes_nothing(snapshots: DeltaSnapshots) -> None:
    for version in range(1, 4):
        snapshots.save([snap(version)])
    before = live(snapshots)
    (told,) = snapshots.compact(dry_run=True)
    assert (told.files_before, told.events) == (3, 3)
    assert live(snapshots) == before


def test_saving_merges_by_itself(snapshots: DeltaSnapshots) -> None:
    for version in range(1, 101):
        snapshots.save([snap(version, f"s-{version % 7}", keep=1)])
    assert len(live(snapshots)) <= 2 * compaction.DUE_FILES
    assert versions(snapshots.newest("Account", "s-3")) == [94]


@pytest.mark.usefixtures("small_layout")
def test_no_row_is_written_often(snapshots: DeltaSnapshots, seen: list[object]) -> None:
    """While the table grows: each merge makes a file several times its largest part."""
    for number in range(600):
        snapshots.save([snap(1, f"s-{number}")])
    merged = sum(done.events for done in seen if isinstance(done, compaction.Compacted))
    assert merged / 600 < 8


@pytest.mark.usefixtures("small_layout")
def test_large_table_lands_in_leaves_at_once(snapshots: DeltaSnapshots, tmp_path: Path) -> None:
    snapshots.save_table(many(200))
    assert snapshots._table.writable().version == 0
    assert all(len(shard) == 2 for shard, _ in live(snapshots))
    assert snapshots.compact() == []


def test_large_states_have_row_groups_of_their_own(snapshots: DeltaSnapshots) -> None:
    """So that reading a small one beside them stays quick."""
    snapshots.save_table(many(10, state_bytes=300_000))
    (file,) = snapshots._table.writable().files()
    assert len(snapshots._table.files.groups(file)) == 10
    assert len(snapshots.newest("Account", "m-3")[0].state) > 300_000


def test_small_files_without_the_stream_are_not_opened(snapshots: DeltaSnapshots, opened: Open, tmp_path: Path) -> None:
    for number in range(10):
        snapshots.save([snap(1, f"{edge}-{number}") for edge in ("a", "z")])
    for file in (tmp_path / "snapshots").glob("shard=h/*"):
        file.write_bytes(b"")
    assert opened().newest("Account", "m-unknown") == []
    assert all(writing.listed(file) is not None for file in snapshots._table.writable().files())


@pytest.mark.usefixtures("small_layout")
def test_files_cut_for_memory_are_not_merged_again(snapshots: DeltaSnapshots, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(writing, "BUFFERED_BYTES", 1)
    for version in (1, 2):
        snapshots.save([snap(version, f"s-{number}", keep=1, state="x" * 500) for number in range(31)])
    snapshots.compact()
    assert len(live(snapshots)) > 1
    assert rows(snapshots) == 31
    assert snapshots.compact() == []

"""Whatever is broken in a log is found, and said to be what it is; a sound one is sound at every moment of its life."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import store
from store import TableRefusedError, open_store
from store.delta.actions import Segment
from store.delta.commits import replacing
from store.delta.log import log_path
from store.delta.verifying.verify import verify
from store.storage.local_objects import LocalObjects
from store.storage.objects import Objects
from store.tables.publishing import digest_of, linked
from tests.store.delta.verifying.damage import (
    aged,
    commit,
    contents,
    data_file,
    edit_add,
    edit_commit,
    fill,
    live,
    newest,
    objects,
    rewrite,
    swapped,
    with_values,
)
from tests.store.facts import table
from tests.store.test_laws import small_numbers  # noqa: F401


@pytest.fixture
def landed(tmp_path: Path) -> Path:
    """Twelve files of one event, none of them merged."""
    return fill(tmp_path, 12)


@pytest.fixture
def merged(tmp_path: Path) -> Path:
    """One sorted file of twenty events of five streams, versions 1 to 4: rows 0 to 3 are those of s-0, at positions 1, 6, 11, 16."""
    return fill(tmp_path, 20, compact=True)


def found(warehouse: Path) -> list[str]:
    return [str(finding) for finding in verify(objects(warehouse)).findings]


def assert_found(warehouse: Path, *expected: str) -> None:
    """These findings in any order, each recognised by a part of its text, and no others."""
    there = found(warehouse)
    assert [part for part in expected if not any(part in finding for finding in there)] == [], there
    assert len(there) == len(expected), there


def only(warehouse: Path) -> Segment:
    segments = live(warehouse)
    assert len(segments) == 1
    return segments[0]


# Sound logs -----------------------------------------------------------------------------------------------------


def test_sound_log_has_no_findings(landed: Path) -> None:
    report = verify(objects(landed))
    assert report.findings == []
    assert (report.sound, report.version, report.files, report.events) == (True, 12, 12, 12)
    assert report.data_bytes == sum(segment.size_bytes for segment in live(landed))


def test_empty_log_is_sound(tmp_path: Path) -> None:
    assert found(fill(tmp_path, 0)) == []


@pytest.mark.parametrize("checkpoint", [False, True])
def test_merged_log_is_sound(tmp_path: Path, checkpoint: bool) -> None:
    fill(tmp_path, 30, compact=True, checkpoint=checkpoint)
    assert found(fill(tmp_path, 7)) == []


@pytest.mark.usefixtures("small_numbers")
def test_log_of_many_shards_and_runs_is_sound(tmp_path: Path) -> None:
    with open_store(str(tmp_path), create=True) as log:
        for number in range(5):
            log.append_table(table(150, stream_id=[f"b-{(row * 7 + number) % 40}" for row in range(150)]))
            fill(tmp_path, 10)
        log.compact()
        log.checkpoint()
        fill(tmp_path, 5)
    segments = live(tmp_path)
    assert len({segment.shard for segment in segments}) > 10
    assert len({segment.run for segment in segments}) > 2
    assert found(tmp_path) == []


def test_log_whose_old_commits_are_cleaned_up_is_sound(tmp_path: Path) -> None:
    fill(tmp_path, 10, compact=True, checkpoint=True)
    for version in range(newest(tmp_path) - 1):
        commit(tmp_path, version).unlink()
    assert found(fill(tmp_path, 3)) == []


def test_verifying_changes_nothing(merged: Path) -> None:
    before = contents(merged)
    verify(objects(merged))
    assert contents(merged) == before


def test_progress_counts_up_to_all_events(landed: Path) -> None:
    told: list[tuple[int, int]] = []
    verify(objects(landed), lambda done, total: told.append((done, total)))
    assert [total for _, total in told] == [12] * len(told)
    assert [done for done, _ in told] == list(range(1, 13))


def test_place_without_a_log_is_refused(tmp_path: Path) -> None:
    with pytest.raises(TableRefusedError, match="no event log"):
        verify(objects(tmp_path))


def test_running_writers_and_compactors_are_no_damage(tmp_path: Path) -> None:
    fill(tmp_path, 20)
    stop = tmp_path / "stop"
    work = [("busy", "1"), ("busy", "2"), ("compact",)]
    with ExitStack() as running:
        for name, *arguments in work:
            command = [sys.executable, "-m", "tests.store.delta.writer", name, str(tmp_path), *arguments, str(stop)]
            running.enter_context(subprocess.Popen(command, stdout=subprocess.DEVNULL, cwd=Path(store.__file__).parents[1]))
        running.callback(stop.touch)
        seen = 0
        while seen < 10 or verify(objects(tmp_path)).events < 200:
            report = verify(objects(tmp_path))
            assert report.damage == []
            assert all("leave it for an hour" in finding.remedy for finding in report.notes)
            seen += 1
    assert verify(objects(tmp_path)).damage == []


class Vacuumed:
    """Storage in which everything is merged, and what was merged removed, at the moment when the first data file is opened."""

    def __init__(self, warehouse: Path) -> None:
        self._warehouse, self._real, self._pending = warehouse, LocalObjects(warehouse / "events"), True

    def open(self, path: str) -> pa.NativeFile:
        if self._pending:
            self._pending = False
            before = live(self._warehouse)
            with open_store(str(self._warehouse)) as log:
                log.compact()
            for segment in before:
                data_file(self._warehouse, segment).unlink()
        return self._real.open(path)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._real, name)


def test_files_merged_and_removed_meanwhile_are_read_where_they_are_now(landed: Path) -> None:
    storage: Objects = Vacuumed(landed)  # type: ignore[assignment]
    report = verify(storage)
    assert (report.findings, report.files, report.events) == ([], 1, 12)


# The commits ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("body", [b"", b"\0" * 300, b'{"commitInfo":{"times'])
def test_torn_last_commit_is_found_and_mendable(landed: Path, body: bytes) -> None:
    commit(landed, 12).write_bytes(body)
    report = verify(objects(landed))
    assert [finding.superfluous for finding in report.damage] == [(log_path(12),)]
    assert "commit 12" in str(report.damage[0])
    assert [finding.damage for finding in report.notes] == [False]    # its data file, named by nobody now
    assert report.events == 11


def test_torn_commit_in_the_middle_is_not_mendable(landed: Path) -> None:
    commit(landed, 7).write_bytes(b"")
    report = verify(objects(landed))
    assert ["commit 7 is empty" in str(finding) for finding in report.damage] == [True]
    assert not report.damage[0].mendable
    assert ["not all files and contents were checked" in str(finding) for finding in report.notes] == [True]


def test_missing_commit_is_found(landed: Path) -> None:
    commit(landed, 7).unlink()
    assert_found(landed, "damage: commit 7: it is missing, though there are commits up to 12", "not all files")


def test_missing_first_commits_without_a_checkpoint_are_found(landed: Path) -> None:
    commit(landed, 0).unlink()
    assert_found(landed, "damage: commit 0: it is missing", "not all files")


def test_foreign_commit_is_found(landed: Path) -> None:
    commit(landed, 13).write_bytes(b'{"commitInfo":{"operation":"DELETE","engineInfo":"Other/1.0"}}\n')
    assert_found(landed, "damage: commit 13: commit 13 was written by a foreign writer (Other/1.0)", "not all files")


def test_commit_with_half_a_mark_is_found(landed: Path) -> None:
    commit(landed, 13).write_bytes(b'{"commitInfo":{"alluvium":{}}}\n')
    assert_found(landed, "damage: commit 13: commit 13 is not of the shape", "not all files")


def test_commit_that_names_a_file_outside_is_found(landed: Path) -> None:
    edit_commit(landed, 12, lambda action: action.get("add", {}).update(path="../../etc/passwd"))
    assert_found(landed, "damage: commit 12: the log names a file that is not one of ours", "not all files")


def test_commit_whose_end_is_lost_is_found(landed: Path) -> None:
    """Cut between two lines, each of them whole."""
    commit(landed, 12).write_bytes(commit(landed, 12).read_bytes().splitlines(keepends=True)[0])
    assert_found(landed, "damage: commit 12: it moves the head from 11 to 12 without events", "no commit names it")


def mark(**values: Any) -> Callable[[dict[str, Any]], None]:
    return lambda action: action["commitInfo"]["alluvium"].update(values) if "commitInfo" in action else None


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ({"head": 3}, "its head is 3, but it was 6 before"),
        ({"head": 9}, "it adds 1 rows from position 7 to 7, and should hold 7 to 9"),
        ({"recorded_at": 5}, "it was recorded before the commit in front of it"),
    ],
)
def test_commit_that_contradicts_the_one_before_is_found(landed: Path, values: dict[str, Any], expected: str) -> None:
    edit_commit(landed, 7, mark(**values))
    assert any(f"damage: commit 7: {expected}" in finding for finding in found(landed))


def test_merge_that_drops_a_file_is_found(tmp_path: Path) -> None:
    fill(tmp_path, 6)
    chosen = live(tmp_path)
    commit(tmp_path, 7).write_bytes(linked(replacing("id", 10**16, 6, chosen[:1], [], 0), digest_of(commit(tmp_path, 6).read_bytes())))
    assert_found(
        tmp_path, "damage: commit 7: it puts 0 rows in the place of 1", "damage: position 1: is in no file", "of stream 's-0' does not follow"
    )


def test_merge_of_a_file_that_is_not_live_is_found(merged: Path) -> None:
    version, segment = newest(merged) + 1, only(merged)
    gone = replace(segment, path=segment.path.replace("1-20", "1-21"), rows=0)
    commit(merged, version).write_bytes(linked(replacing("id", 10**16, 20, [gone], [], 0), digest_of(commit(merged, version - 1).read_bytes())))
    assert_found(merged, f"damage: commit {version}: it takes away {gone.path}, which is not live")


# Checkpoints ----------------------------------------------------------------------------------------------------

HINT = "_last_checkpoint"


def checkpoint_file(warehouse: Path) -> Path:
    return max((warehouse / "events" / "_delta_log").glob("*.checkpoint.parquet"))


@pytest.fixture
def checkpointed(tmp_path: Path) -> Path:
    fill(tmp_path, 10, checkpoint=True)
    return fill(tmp_path, 3)


def test_torn_hint_is_found(checkpointed: Path) -> None:
    (checkpointed / "events" / "_delta_log" / HINT).write_bytes(b'{"vers')
    assert_found(checkpointed, "damage: _delta_log/_last_checkpoint: it is torn")


def test_hint_to_a_checkpoint_that_is_not_there_is_found(checkpointed: Path) -> None:
    checkpoint_file(checkpointed).unlink()
    assert_found(checkpointed, "damage: _delta_log/_last_checkpoint: it names checkpoint 10, which is not there")


@pytest.mark.parametrize("body", [b"", b"PAR1" + bytes(500)])
def test_torn_checkpoint_is_found(checkpointed: Path, body: bytes) -> None:
    checkpoint_file(checkpointed).write_bytes(body)
    assert_found(checkpointed, f"damage: _delta_log/{checkpoint_file(checkpointed).name}: it is torn")


def test_checkpoint_that_lies_is_found(checkpointed: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    """It is that of another log, of as many commits."""
    other = fill(tmp_path_factory.mktemp("other"), 10, checkpoint=True)
    checkpoint_file(checkpointed).write_bytes(checkpoint_file(other).read_bytes())
    assert_found(checkpointed, f"damage: _delta_log/{checkpoint_file(checkpointed).name}: it lies")


def test_torn_commit_that_a_checkpoint_covers_is_a_note(checkpointed: Path) -> None:
    commit(checkpointed, 4).write_bytes(b"")
    assert_found(checkpointed, "note: commit 4: commit 4 is empty")


# Files ----------------------------------------------------------------------------------------------------------


def test_missing_file_is_found_and_nothing_else(landed: Path) -> None:
    lost = live(landed)[4]
    data_file(landed, lost).unlink()
    assert_found(landed, f"damage: {lost.path}: the log names it, but it is not there")


def test_all_missing_files_are_found(landed: Path) -> None:
    for segment in live(landed):
        data_file(landed, segment).unlink()
    assert len(verify(objects(landed)).damage) == 12


def test_truncated_file_is_found(merged: Path) -> None:
    path = data_file(merged, only(merged))
    path.write_bytes(path.read_bytes()[:-10])
    assert_found(merged, "bytes, the log says", "it cannot be read")


def test_empty_file_is_found(merged: Path) -> None:
    data_file(merged, only(merged)).write_bytes(b"")
    assert any(only(merged).path in finding and finding.startswith("damage") for finding in found(merged))


def test_flipped_byte_in_a_page_is_found_by_its_checksum(merged: Path) -> None:
    segment = only(merged)
    rewrite(merged, segment, lambda events: events, write_page_checksum=True, compression="none", use_dictionary=False, write_statistics=False)
    path = data_file(merged, segment)
    body = bytearray(path.read_bytes())
    body[body.index(b'{"number":0}') + 10] ^= 1     # still JSON
    path.write_bytes(body)
    assert_found(merged, "by their SHA-256", "it cannot be read")


def test_old_file_that_nobody_names_is_a_note(landed: Path) -> None:
    orphan = data_file(landed, live(landed)[0]).with_name("1-1-" + "0" * 32 + ".parquet")
    orphan.write_bytes(b"half")
    assert_found(landed, "note: shard=h/1-1-00000000000000000000000000000000.parquet: no commit names it")
    assert not verify(objects(landed)).findings[0].mendable
    aged(orphan)
    assert verify(objects(landed)).findings[0].mendable


def test_temporary_file_is_a_note(landed: Path) -> None:
    (landed / "events" / "_delta_log" / f".{'0a' * 16}.tmp").write_bytes(b"half")
    assert_found(landed, f"note: _delta_log/.{'0a' * 16}.tmp: no commit names it")


def test_file_that_is_not_of_the_log_is_a_note(landed: Path) -> None:
    (landed / "events" / "holiday.jpg").write_bytes(b"")
    assert_found(landed, "note: holiday.jpg: it is no file of the log")


def test_replaced_files_are_no_orphans(merged: Path) -> None:
    assert len(list((merged / "events").rglob("*.parquet"))) == 21
    assert found(merged) == []


# Rows -----------------------------------------------------------------------------------------------------------


def test_swapped_positions_of_one_stream_are_found(merged: Path) -> None:
    rewrite(merged, only(merged), lambda events: swapped(events, "position", 0, 2))
    assert_found(merged, "version 2 of stream 's-0' at position 6 does not follow", "position 2: was recorded before")


def test_swapped_versions_are_found(merged: Path) -> None:
    rewrite(merged, only(merged), lambda events: swapped(events, "version", 1, 2))
    assert_found(merged, "version 3 of stream 's-0' at position 6 does not follow")


def test_dropped_row_is_found(merged: Path) -> None:
    rewrite(merged, only(merged), lambda events: pa.concat_tables([events.slice(0, 5), events.slice(6)]))
    assert_found(
        merged, "it holds 19 rows, the log says 20", "version 3 of stream 's-1' at position 12 does not follow", "position 7: is in no file",
        "nulls in correlation_id", "nulls in causation_id",
    )


def test_row_that_stands_twice_is_found(merged: Path) -> None:
    rewrite(merged, only(merged), lambda events: events.set_column(0, events.schema.field(0), _doubled(events, 5)))
    assert_found(
        merged, "position 2: stands more than once", "position 7: is in no file", "version 2 of stream 's-1' at position 2 does not follow",
        "position 3: was recorded before",
    )


def _doubled(events: pa.Table, row: int) -> pa.Array:
    """Its position is that of the row before."""
    positions = events["position"].to_pylist()
    return pa.array([*positions[:row], positions[row - 1], *positions[row + 1 :]], pa.int64())


def test_duplicate_version_is_found(merged: Path) -> None:
    rewrite(merged, only(merged), lambda events: with_values(events, "version", {1: 1}))
    assert_found(merged, "version 1 of stream 's-0' at position 6 does not follow")


def tell_version(warehouse: Path, segment: Segment, version: int) -> None:
    """Let the log say that the one row of a file has this version."""
    edit_add(warehouse, segment.path, lambda _, stats: stats.update({key: stats[key] | {"version": version} for key in ("minValues", "maxValues")}))


def test_gap_in_versions_between_two_files_is_found(landed: Path) -> None:
    """Position 8 is version 2 of s-2."""
    rewrite(landed, live(landed)[7], lambda events: with_values(events, "version", {0: 3}))
    tell_version(landed, live(landed)[7], 3)
    assert_found(landed, "position 8: version 3 of stream 's-2' does not follow")


def test_stream_that_does_not_begin_at_one_is_found(tmp_path: Path) -> None:
    fill(tmp_path, 5)
    rewrite(tmp_path, live(tmp_path)[4], lambda events: with_values(events, "version", {0: 2}))
    tell_version(tmp_path, live(tmp_path)[4], 2)
    assert_found(tmp_path, "position 5: version 2 of stream 's-4' does not follow")


def test_time_that_goes_back_is_found(merged: Path) -> None:
    early = pq.read_table(pa.BufferReader(data_file(merged, only(merged)).read_bytes()))["recorded_at"][0].as_py()
    rewrite(merged, only(merged), lambda events: with_values(events, "recorded_at", {6: early}))
    assert_found(merged, "position 12: was recorded before the event in front of it")


def test_rows_in_no_order_are_found(merged: Path) -> None:
    rewrite(merged, only(merged), lambda events: events.take([*range(10, 20), *range(10)]))
    assert_found(merged, "its rows are neither in log order nor sorted by section")


@pytest.mark.usefixtures("small_numbers")
def test_stream_in_another_shard_is_found(tmp_path: Path) -> None:
    with open_store(str(tmp_path), create=True) as log:
        log.append_table(table(60, stream_id=[f"s-{row % 20}" for row in range(60)]))
    segment = live(tmp_path)[0]
    assert segment.shard != "h"
    moved = segment.path.replace(f"shard={segment.shard}/", f"shard={'h0' if segment.shard != 'h0' else 'h1'}/")
    (tmp_path / "events" / moved).parent.mkdir(exist_ok=True)
    data_file(tmp_path, segment).rename(tmp_path / "events" / moved)
    commit(tmp_path, 1).write_bytes(commit(tmp_path, 1).read_bytes().replace(segment.path.replace("=", "%3D").encode(), moved.encode()))
    assert_found(tmp_path, f"damage: {moved}: it holds stream 's-")


@pytest.mark.parametrize("text", ["", "{", "[1]", '{"a":1,}', '{"a":1}{}', "null", '{"a":NaN}'])
@pytest.mark.parametrize("column", ["data", "metadata"])
def test_text_that_is_no_json_object_is_found(merged: Path, column: str, text: str) -> None:
    rewrite(merged, only(merged), lambda events: with_values(events, column, {5: text}))
    assert_found(merged, f"the {column} at position 7 is not a JSON object")


def test_bytes_that_are_no_text_are_found(merged: Path) -> None:
    segment = only(merged)
    rewrite(merged, segment, lambda events: events, compression="none", use_dictionary=False)
    path = data_file(merged, segment)
    path.write_bytes(path.read_bytes().replace(b'{"number":0}', b'{"n\xff\xffber":0}'))
    assert_found(merged, "by their SHA-256", "it cannot be read")


def test_other_columns_are_found(merged: Path) -> None:
    rewrite(merged, only(merged), lambda events: events.drop_columns(["tags"]))
    assert_found(merged, "it has no column tags")


def test_column_of_another_type_is_found(merged: Path) -> None:
    rewrite(merged, only(merged), lambda events: events.set_column(2, "version", events["version"].cast(pa.int32())))
    assert_found(merged, "its column version is int32, not int64")


# Statistics -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (lambda stats: stats["maxValues"].update(stream_id="s-3"), "its highest stream_id is 's-4', the log says 's-3'"),
        (lambda stats: stats["minValues"].update(version=2), "its lowest version is 1, the log says 2"),
        (lambda stats: stats["minValues"].update(type="C"), "its lowest type is 'Begun', the log says 'C'"),
        (lambda stats: stats["maxValues"].update(recorded_at="2020-01-01T00:00:00.000Z"), "its highest recorded_at is"),
        (lambda stats: stats["nullCount"].update(metadata=7), "it holds 0 nulls in metadata, the log says 7"),
    ],
)
def test_statistics_in_the_log_that_are_not_those_of_the_rows_are_found(merged: Path, change: Callable[[Any], None], expected: str) -> None:
    edit_add(merged, only(merged).path, lambda _, stats: change(stats))
    assert_found(merged, expected)


def test_count_in_the_log_that_is_not_that_of_the_rows_is_found(merged: Path) -> None:
    edit_add(merged, only(merged).path, lambda _, stats: stats.update(numRecords=21))
    assert_found(merged, "it puts 21 rows in the place of 20", "it holds 20 rows, the log says 21")


def test_row_group_statistics_that_hide_rows_are_found(merged: Path) -> None:
    segment = only(merged)
    rewrite(merged, segment, lambda events: events, row_group_size=4, compression="none", use_dictionary=False, write_statistics=["stream_id"])
    path = data_file(merged, segment)
    body = path.read_bytes()
    footer = int.from_bytes(body[-8:-4], "little")
    start = len(body) - 8 - footer
    path.write_bytes(body[:start] + body[start:].replace(b"s-3", b"s-2"))
    told = "the statistics of its row groups say 's-2' to 's-2' of stream_id, the rows hold 's-3' to 's-3'"
    assert_found(merged, "by their SHA-256", told)

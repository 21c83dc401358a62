"""A backup is the log up to a position, in another place; a restore makes a log of it again. Both bear writers, failures and kills."""

from __future__ import annotations

import secrets
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from pathlib import Path
from signal import SIGKILL
from threading import Lock
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from deltalake import DeltaTable

import store as package
from store import Event, InvalidEventError, StorageError, TableRefusedError, WrongExpectedVersionError, backup, open_store, restore
from store.deeds import Deed
from store.delta import segment
from store.delta.copying.backup import copy
from store.delta.delta_store import DeltaEventStore
from store.schema import EVENTS
from store.storage.local_objects import LocalObjects
from tests.store.delta.faults import FaultyObjects, overtaken
from tests.store.facts import at_once, facts

HOUSE = Path(package.__file__).parents[1]


@pytest.fixture
def warehouse(tmp_path: Path) -> str:
    return str(tmp_path / "warehouse")


@pytest.fixture
def kept(tmp_path: Path) -> str:
    """Where the backup goes."""
    return str(tmp_path / "kept")


@pytest.fixture
def restored(tmp_path: Path) -> str:
    return str(tmp_path / "restored")


@pytest.fixture
def store(warehouse: str) -> Iterator[DeltaEventStore]:
    with open_store(warehouse, create=True) as store:
        fill(store, 12)
        yield store


def fill(store: DeltaEventStore, commits: int) -> None:
    """Three events each, over five streams."""
    for number in range(commits):
        store.append(f"s-{number % 5}", [Event("Happened", {"number": number}, tags=[f"t{number % 3}"]) for _ in range(3)])


def events(uri: str, until: int | None = None) -> pa.Table:
    with open_store(uri) as store:
        return store.read_all(until=until).read_all()


def files(uri: str) -> set[Path]:
    return set(Path(uri, "events").rglob("*.parquet"))


def copied(source: Any, destination: Any, until: Any = None, fresh: bool = False, step_bytes: int = sys.maxsize, progress: Any = None) -> Any:
    """The same between storages of a test's own."""
    return copy(source, destination, until, fresh, step_bytes, progress or (lambda done, total: None))


# What a backup is -----------------------------------------------------------------------------------------------


def test_backup_holds_every_event_up_to_the_head(store: DeltaEventStore, warehouse: str, kept: str) -> None:
    done = backup(warehouse, kept)
    assert events(kept).equals(events(warehouse))
    assert (done.position, done.files_copied, done.files_kept, done.files_removed) == (36, 12, 0, 0)
    assert done.recorded_at == events(warehouse)["recorded_at"][-1].as_py()
    assert done.copied_bytes == sum(file.stat().st_size for file in files(kept))


def test_deltalake_reads_a_backup(store: DeltaEventStore, warehouse: str, kept: str) -> None:
    backup(warehouse, kept)
    local = pa.fs.SubTreeFileSystem(f"{kept}/events", pa.fs.LocalFileSystem())
    read = DeltaTable(f"{kept}/events").to_pyarrow_table(filesystem=local)
    assert read.select(EVENTS.names).sort_by("position").to_pylist() == events(warehouse).to_pylist()


def test_empty_log_has_an_empty_backup(warehouse: str, kept: str, restored: str) -> None:
    open_store(warehouse, create=True).close()
    assert backup(warehouse, kept).position == 0
    assert restore(kept, restored).recorded_at is None
    with open_store(restored) as store:
        assert store.append("a", facts(1)).position == 2  # after the deed


def test_backup_tells_how_far_it_is(store: DeltaEventStore, warehouse: str, kept: str) -> None:
    told: list[tuple[int, int]] = []
    done = backup(warehouse, kept, progress=lambda *so_far: told.append(so_far))
    assert len(told) == 12
    assert told == sorted(told)
    assert told[-1] == (done.copied_bytes, done.copied_bytes)


def test_backup_of_a_log_whose_first_commits_are_cleaned_up(store: DeltaEventStore, warehouse: str, kept: str) -> None:
    for version in range(store.checkpoint().delta_version):
        Path(warehouse, "events", "_delta_log", f"{version:020d}.json").unlink()
    backup(warehouse, kept)
    fill(store, 1)
    assert backup(warehouse, kept).position == 39
    assert events(kept).equals(events(warehouse))


# Incremental ----------------------------------------------------------------------------------------------------


def test_second_backup_copies_only_what_is_new(store: DeltaEventStore, warehouse: str, kept: str) -> None:
    backup(warehouse, kept)
    before = {file: file.stat().st_mtime_ns for file in files(kept)}
    fill(store, 2)
    done = backup(warehouse, kept)
    assert (done.files_copied, done.files_kept, done.files_removed) == (2, 12, 0)
    assert {file: file.stat().st_mtime_ns for file in before} == before
    assert events(kept).equals(events(warehouse))


def test_backup_without_anything_new_commits_nothing(store: DeltaEventStore, warehouse: str, kept: str) -> None:
    backup(warehouse, kept)
    commits = sorted(Path(kept, "events", "_delta_log").iterdir())
    assert (done := backup(warehouse, kept)).files_copied == 0
    assert done.files_kept == 12
    assert sorted(Path(kept, "events", "_delta_log").iterdir()) == commits


def test_merged_files_take_the_place_of_what_was_merged(store: DeltaEventStore, warehouse: str, kept: str) -> None:
    backup(warehouse, kept)
    before = files(kept)
    store.compact()
    fill(store, 1)
    done = backup(warehouse, kept)
    assert (done.files_copied, done.files_kept, done.files_removed) == (2, 0, 12)
    assert before < files(kept)                    # left for a reader of the old state, until a vacuum
    assert events(kept).equals(events(warehouse))


def test_open_reader_of_a_backup_sees_it_grow(store: DeltaEventStore, warehouse: str, kept: str) -> None:
    backup(warehouse, kept)
    with open_store(kept) as reader:
        assert reader.stream_version("s-0") == 9
        store.compact()
        fill(store, 1)
        backup(warehouse, kept)
        assert reader.stream_version("s-0") == 12
        assert reader.read_all().read_all().equals(events(warehouse))


def test_large_backup_is_made_in_steps_that_are_each_a_state_of_the_log(store: DeltaEventStore, warehouse: str, kept: str) -> None:
    heads: list[int] = []

    class Seen(FaultyObjects):
        def put_if_absent(self, path: str, data: bytes) -> bool:
            done = super().put_if_absent(path, data)
            heads.append(len(events(kept)))
            assert events(kept).equals(events(warehouse, heads[-1]))
            return done

    copied(LocalObjects(Path(warehouse, "events")), Seen(LocalObjects(Path(kept, "events"))), step_bytes=3_000)
    assert heads == sorted(set(heads))
    assert len(heads) > 3
    assert heads[-1] == 36


# Up to a position -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("until", [0, 1, 2, 3, 17, 35, 36])
@pytest.mark.parametrize("compacted", [False, True])
def test_backup_ends_at_the_position_asked_for(store: DeltaEventStore, warehouse: str, kept: str, until: int, compacted: bool) -> None:
    if compacted:
        store.compact()
    done = backup(warehouse, kept, until)
    assert done.position == until
    assert events(kept).equals(events(warehouse, until))
    backup(warehouse, kept)
    assert events(kept).equals(events(warehouse))


def test_cut_in_a_run_of_several_shards(warehouse: str, kept: str, restored: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(segment, "LEAF_ROWS", 10)
    rows = 400
    with open_store(warehouse, create=True) as store:
        store.append("s-1", facts(1))
        store.append("s-1", facts(1))
        store.append("s-1", facts(1))
        store.append_table(pa.table({"stream_id": [f"s-{number % 50}" for number in range(rows)], "type": ["T"] * rows, "data": ["{}"] * rows}))
        fill(store, 1)
        assert len({s.shard for s in store._log.segments()}) > 10
        for until in (5, 150, 390):
            backup(warehouse, kept, until)
            assert events(kept).equals(events(warehouse, until))
            with open_store(kept) as reader:       # a run is named alike in all of its shards
                assert {segment.run for segment in reader._log.segments()} == {(1, 1), (2, 2), (3, 3), (4, until)}
        restore(kept, restored, 77)
        with open_store(restored) as twin:
            assert twin.compact() != []
            assert twin.read_all(until=77).read_all().equals(store.read_all(until=77).read_all())
            assert twin.read_stream("s-7").equals(store.sql("select * exclude shard from stream('s-7')", as_of=77).to_arrow_table().cast(EVENTS))


def test_repeated_cut_is_not_copied_again(store: DeltaEventStore, warehouse: str, kept: str) -> None:
    store.compact()
    backup(warehouse, kept, 20)
    done = backup(warehouse, kept, 20)
    assert (done.files_copied, done.files_kept, done.files_removed) == (0, 1, 0)


def test_time_means_the_last_position_recorded_by_then(store: DeltaEventStore, warehouse: str, kept: str) -> None:
    times = events(warehouse)["recorded_at"].to_pylist()
    moment = times[19]
    done = backup(warehouse, kept, moment)
    assert done.position == store.position_at(moment) == max(p for p, t in enumerate(times, 1) if t <= moment)
    assert done.recorded_at == moment
    assert backup(warehouse, kept, datetime.now(UTC) + timedelta(days=1)).position == 36


# Restored -------------------------------------------------------------------------------------------------------


def test_restored_log_goes_on_where_it_was(store: DeltaEventStore, warehouse: str, kept: str, restored: str) -> None:
    first = store.append("order-1", batch := facts(4), 0)
    store.append("order-1", facts(2), 4)
    store.compact()
    backup(warehouse, kept)
    assert restore(kept, restored, until=first.position).position == first.position
    with open_store(restored) as twin:
        assert twin.read_all(until=first.position).read_all().equals(store.read_all(until=first.position).read_all())
        assert twin.stream_version("order-1") == 4
        assert twin.append("order-1", batch, 0) == first
        with pytest.raises(WrongExpectedVersionError):
            twin.append("order-1", facts(1), 6)
        answer = twin.append("order-1", facts(1), 4)
        assert (answer.version, answer.position) == (5, first.position + 2)


def test_restored_log_appears_in_one_commit_and_says_who_did_it(store: DeltaEventStore, warehouse: str, kept: str, restored: str) -> None:
    backup(warehouse, kept)
    done = restore(kept, restored, 17, by="ada", why="a lost disk")
    assert (done.position, done.unrecorded) == (17, None)
    assert sorted(file.name for file in Path(restored, "events", "_delta_log").iterdir()) == [f"{version:020d}.json" for version in (0, 1)]
    with open_store(restored) as twin:
        assert [(event.position, deed) for event, deed in twin.audit.deeds()] == [
            (18, Deed("Restored", "ada", "a lost disk", {"from": kept, "position": 17}))
        ]


def test_restore_by_nobody_is_refused_before_anything_is_written(store: DeltaEventStore, warehouse: str, kept: str, restored: str) -> None:
    backup(warehouse, kept)
    with pytest.raises(InvalidEventError):
        restore(kept, restored, by="")
    assert not Path(restored).exists()


def test_restored_log_that_takes_no_deed_is_restored_all_the_same(
    store: DeltaEventStore, warehouse: str, kept: str, restored: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As where the newest time of the log is far ahead of this machine's clock."""
    backup(warehouse, kept)
    monkeypatch.setitem(open_store.__kwdefaults__, "clock", lambda: 0)
    done = restore(kept, restored)
    assert "set the clocks right" in str(done.unrecorded)
    assert events(restored).equals(events(warehouse))


@pytest.mark.parametrize("until", [17, 36])
def test_time_goes_on_in_a_restored_log(store: DeltaEventStore, warehouse: str, kept: str, restored: str, until: int) -> None:
    """Also where the clock is behind."""
    backup(warehouse, kept)
    restore(kept, restored, until)
    newest = events(restored)["recorded_at"][-1]
    with open_store(restored, clock=lambda: newest.value - 60_000_000) as twin:
        twin.append("s-0", facts(1))
        assert twin.read_all(after=until).read_all()["recorded_at"][0] == newest


def test_past_states_are_the_same_in_a_restored_log(store: DeltaEventStore, warehouse: str, kept: str, restored: str) -> None:
    """Law 9 beyond the place."""
    counts = "select stream_id, count(*), max(version), max(recorded_at) from events group by all order by all"
    backup(warehouse, kept)
    restore(kept, restored)
    with open_store(restored) as twin:
        twin.compact()
        twin.checkpoint()
        for position in (1, 10, 36):
            moment = store.read_all(after=position - 1, until=position).read_all()["recorded_at"][0].as_py()
            assert twin.sql(counts, as_of=position).fetchall() == store.sql(counts, as_of=position).fetchall()
            assert twin.position_at(moment) == store.position_at(moment)


def test_backup_goes_on_from_the_log_that_was_restored_from_it(store: DeltaEventStore, warehouse: str, kept: str, restored: str) -> None:
    backup(warehouse, kept)
    restore(kept, restored)
    with open_store(restored) as twin:
        fill(twin, 2)
    done = backup(restored, kept)
    assert (done.position, done.files_copied, done.files_kept) == (43, 3, 12)


def test_backup_and_restore_by_way_of_s3(store: DeltaEventStore, warehouse: str, s3_warehouse: str, restored: str) -> None:
    backup(warehouse, s3_warehouse, 17)
    store.compact()
    fill(store, 2)
    assert backup(warehouse, s3_warehouse).position == 42
    assert backup(warehouse, s3_warehouse).files_copied == 0
    assert restore(s3_warehouse, restored, 40).position == 40
    assert events(restored, 40).equals(events(warehouse, 40))


# Refused --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("inside", ["", "/", "/deeper/down", "/../warehouse", "/events"])
def test_backup_inside_its_warehouse_is_refused(store: DeltaEventStore, warehouse: str, inside: str) -> None:
    with pytest.raises(TableRefusedError, match="both would be lost together"):
        backup(warehouse, warehouse + inside)


def test_backup_through_a_link_to_its_warehouse_is_refused(store: DeltaEventStore, warehouse: str, tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(warehouse)
    with pytest.raises(TableRefusedError, match="both would be lost together"):
        backup(warehouse, str(tmp_path / "link"))


@pytest.mark.parametrize("commits", [0, 1, 20])
def test_another_log_is_no_place_for_a_backup(store: DeltaEventStore, warehouse: str, kept: str, commits: int) -> None:
    with open_store(kept, create=True) as other:
        fill(other, commits)
    before = files(kept)
    with pytest.raises(TableRefusedError, match="there is another log"):
        backup(warehouse, kept)
    assert files(kept) == before


def test_backup_that_was_appended_to_is_refused(store: DeltaEventStore, warehouse: str, kept: str) -> None:
    backup(warehouse, kept)
    with open_store(kept) as mistaken:
        mistaken.append("s-0", facts(1))
    with pytest.raises(TableRefusedError, match=r"at position 37, the log .* only at 36"):
        backup(warehouse, kept)
    fill(store, 2)
    with pytest.raises(TableRefusedError, match="event at position 37 is another one"):
        backup(warehouse, kept)


def test_backup_never_goes_back(store: DeltaEventStore, warehouse: str, kept: str) -> None:
    backup(warehouse, kept, 20)
    with pytest.raises(TableRefusedError, match="at position 20, beyond 19, and a backup never goes back; name an empty place"):
        backup(warehouse, kept, 19)
    assert events(kept).equals(events(warehouse, 20))


@pytest.mark.parametrize(
    ("until", "problem"),
    [
        (37, "until 37 is beyond the head of .*: give a position up to 36"),
        (-1, "until -1 is no place"),
        (True, "until True is no place"),
        ("yesterday", "until 'yesterday' is no place"),
        (datetime(2020, 1, 1), "has no time zone"),
    ],
)
def test_until_that_is_no_place_is_refused(store: DeltaEventStore, warehouse: str, kept: str, until: Any, problem: str) -> None:
    with pytest.raises(InvalidEventError, match=problem):
        backup(warehouse, kept, until)
    assert not Path(kept, "events").exists()


def test_restore_over_a_log_is_refused(store: DeltaEventStore, warehouse: str, kept: str, restored: str) -> None:
    backup(warehouse, kept)
    open_store(restored, create=True).close()
    for occupied in (warehouse, restored):
        with pytest.raises(TableRefusedError, match=r"there is a log already, .*; restore into an empty place"):
            restore(kept, occupied)


def test_restore_over_what_is_left_of_a_log_is_refused(store: DeltaEventStore, warehouse: str, kept: str, restored: str) -> None:
    backup(warehouse, kept)
    Path(restored, "events", "_delta_log").mkdir(parents=True)
    Path(restored, "events", "_delta_log", f"{7:020d}.json").write_text("{}")
    with pytest.raises(TableRefusedError, match="commit 0 is missing"):
        restore(kept, restored)


def test_nothing_is_no_source(warehouse: str, kept: str) -> None:
    with pytest.raises(TableRefusedError, match="there is no event log here"):
        backup(warehouse, kept)


# Damage ---------------------------------------------------------------------------------------------------------


def shorter(file: Path) -> None:
    file.write_bytes(file.read_bytes()[:-1])


def longer(file: Path) -> None:
    """It can still be read, but not by who trusts the size in the log."""
    body = file.read_bytes()
    end = len(body) - 8 - int.from_bytes(body[-8:-4], "little")
    file.write_bytes(body[:end] + bytes(1) + body[end:])


def of_another(file: Path) -> None:
    """A whole file, as large, but not that one. Parquet reads its end from behind, so there is room before it."""
    body = next(other for other in sorted(file.parent.iterdir()) if other != file).read_bytes()
    end = len(body) - 8 - int.from_bytes(body[-8:-4], "little")
    file.write_bytes(body[:end] + bytes(file.stat().st_size - len(body)) + body[end:])


def zeroed(file: Path) -> None:
    """As a power cut leaves it."""
    file.write_bytes(bytes(file.stat().st_size))


def zeroed_inside(file: Path) -> None:
    """In the one column that a copy has no use for."""
    body = file.read_bytes()
    row_group = pq.read_metadata(file).row_group(0)
    at = row_group.column(EVENTS.names.index("data")).data_page_offset
    assert row_group.num_columns == len(EVENTS.names)
    file.write_bytes(body[:at] + bytes(40) + body[at + 40 :])


@pytest.mark.parametrize("damage", [shorter, longer, zeroed, zeroed_inside, of_another, Path.unlink])
def test_damaged_file_is_named_and_never_backed_up(
    store: DeltaEventStore, warehouse: str, kept: str, damage: Callable[[Path], None]
) -> None:
    backup(warehouse, kept)
    store.append("s-0", [Event("Happened", {"long": secrets.token_hex(1_000)})])
    newest = next(file for file in files(warehouse) if file.name.startswith("37-37-"))
    damage(newest)
    fill(store, 3)
    with pytest.raises(TableRefusedError, match=rf"(?s){newest.name} .*; bring it back from another copy"):
        backup(warehouse, kept)
    assert len(events(kept)) == 36
    assert len(files(kept)) == 12


def test_failing_storage_leaves_the_backup_where_it_was(store: DeltaEventStore, warehouse: str, kept: str) -> None:
    backup(warehouse, kept)
    fill(store, 5)
    before = files(kept)

    class Full(FaultyObjects):
        left = 3

        def put(self, path: str, data: Any) -> None:
            self.left -= 1
            if self.left < 0:
                raise StorageError("no space left on device")
            self._real.put(path, data)

    with pytest.raises(StorageError, match="no space left"):
        copied(LocalObjects(Path(warehouse, "events")), Full(LocalObjects(Path(kept, "events"))))
    assert files(kept) == before
    assert len(events(kept)) == 36
    assert backup(warehouse, kept).files_copied == 5


# Others at work -------------------------------------------------------------------------------------------------


class Vanishing(FaultyObjects):
    """A source whose files are merged and vacuumed just before one is fetched, so many times, but for the first ones."""

    def __init__(self, real: Any, store: DeltaEventStore, times: int, spared: int = 0) -> None:
        super().__init__(real)
        self._store, self._times, self._spared = store, times, spared
        self._one = Lock()

    def get(self, path: str) -> bytes | None:
        with self._one:
            return self._get(path)

    def _get(self, path: str) -> bytes | None:
        self._spared -= path.endswith(".parquet")
        if path.endswith(".parquet") and self._spared < 0 and self._times:
            self._times -= 1
            before = {segment.path for segment in self._store._log.segments()}
            fill(self._store, 1)
            self._store.compact()
            self._real.delete(sorted(before - {segment.path for segment in self._store._log.segments()}))
        body: bytes | None = self._real.get(path)
        return body


@pytest.mark.parametrize("step_bytes", [1, sys.maxsize])
def test_files_that_vanish_meanwhile_are_looked_for_in_a_newer_state(
    store: DeltaEventStore, warehouse: str, kept: str, step_bytes: int
) -> None:
    source = Vanishing(LocalObjects(Path(warehouse, "events")), store, times=5)
    assert copied(source, LocalObjects(Path(kept, "events")), step_bytes=step_bytes).position == 36
    assert events(kept).equals(events(warehouse, 36))


def test_what_was_copied_in_vain_is_removed(store: DeltaEventStore, warehouse: str, kept: str) -> None:
    source = Vanishing(LocalObjects(Path(warehouse, "events")), store, times=1, spared=7)
    done = copied(source, LocalObjects(Path(kept, "events")))
    assert (done.position, done.files_copied) == (36, 1)
    assert events(kept).equals(events(warehouse, 36))
    assert len(files(kept)) == 1


def test_files_that_always_vanish_are_given_up(store: DeltaEventStore, warehouse: str, kept: str) -> None:
    source = Vanishing(LocalObjects(Path(warehouse, "events")), store, times=1_000)
    with pytest.raises(StorageError, match=r"got no further than position 0 in 20 tries: .*keep replaced files longer"):
        copied(source, LocalObjects(Path(kept, "events")))
    assert files(kept) == set()


def test_commit_of_somebody_else_to_the_copy_makes_the_step_begin_anew(store: DeltaEventStore, warehouse: str, kept: str) -> None:
    """What was written before that commit may be gone: it was a vacuum, perhaps."""
    backup(warehouse, kept, 6)

    def vacuumed() -> None:
        backup(warehouse, kept, 20)
        with open_store(kept) as reader:
            for file in files(kept) - {Path(kept, "events", segment.path) for segment in reader._log.segments()}:
                file.unlink()

    destination = FaultyObjects(LocalObjects(Path(kept, "events")))
    destination.faults = [overtaken(vacuumed)]
    assert copied(LocalObjects(Path(warehouse, "events")), destination).position == 36
    assert events(kept).equals(events(warehouse))


def test_copy_whose_log_was_cleaned_up_meanwhile_is_not_committed_below_it(store: DeltaEventStore, warehouse: str, kept: str) -> None:
    backup(warehouse, kept, 6)

    def cleaned(done_bytes: int, all_bytes: int) -> None:
        if backup(warehouse, kept, 21).files_copied:
            with open_store(kept) as other:
                other.vacuum()                     # two commits more
                for version in range(other.checkpoint().delta_version):
                    Path(kept, "events", "_delta_log", f"{version:020d}.json").unlink()

    assert copied(LocalObjects(Path(warehouse, "events")), LocalObjects(Path(kept, "events")), 21, progress=cleaned).position == 21
    assert events(kept).equals(events(warehouse, 21))
    assert not Path(kept, "events", "_delta_log", f"{1:020d}.json").exists()


def test_copier_that_is_overtaken_by_a_further_one_is_content(store: DeltaEventStore, warehouse: str, kept: str) -> None:
    destination = FaultyObjects(LocalObjects(Path(kept, "events")))
    destination.faults = [overtaken(lambda: backup(warehouse, kept))]
    assert copied(LocalObjects(Path(warehouse, "events")), destination, 10).position == 36
    assert events(kept).equals(events(warehouse))


def test_restore_gives_way_to_a_log_made_meanwhile(store: DeltaEventStore, warehouse: str, kept: str, restored: str) -> None:
    backup(warehouse, kept)
    destination = FaultyObjects(LocalObjects(Path(restored, "events")))
    destination.faults = [overtaken(lambda: open_store(restored, create=True).close())]
    with pytest.raises(TableRefusedError, match="there is another log"):
        copied(LocalObjects(Path(kept, "events")), destination, fresh=True)
    assert files(restored) == set()


def test_backups_at_once_make_one_whole_backup(store: DeltaEventStore, warehouse: str, kept: str) -> None:
    answers = at_once(3, lambda _: copied(LocalObjects(Path(warehouse, "events")), LocalObjects(Path(kept, "events")), step_bytes=4_000))
    assert [answer.position for answer in answers] == [36] * 3
    assert events(kept).equals(events(warehouse))


def test_backups_beside_a_writer_and_a_compactor_are_states_of_the_log(warehouse: str, kept: str, tmp_path: Path) -> None:
    open_store(warehouse, create=True).close()
    stop = tmp_path / "stop"
    positions = []
    with ExitStack() as running:
        works = [("busy", warehouse, "1", str(stop)), ("compact", warehouse, str(stop))]
        processes = [
            running.enter_context(subprocess.Popen([sys.executable, "-m", "tests.store.delta.writer", *work], stdout=subprocess.PIPE, cwd=HOUSE))
            for work in works
        ]
        running.callback(stop.touch)               # whatever fails, they end
        assert processes[0].stdout is not None
        processes[0].stdout.readline()
        for _ in range(6):
            positions.append(backup(warehouse, kept).position)
            assert events(kept).equals(events(warehouse, positions[-1]))
        stop.touch()
        assert [process.wait() for process in processes] == [0, 0]
    assert positions == sorted(set(positions))


# Kills ----------------------------------------------------------------------------------------------------------


def killed(source: str, destination: str, kind: str, nth: int) -> bool:
    """A copy in a process of its own, killed in place of its n-th durable step; False: it had fewer."""
    command = [sys.executable, "-m", "tests.store.delta.copying.copier_process", f"{source}/events", f"{destination}/events", kind, str(nth)]
    code = subprocess.run(command, cwd=HOUSE, check=False).returncode
    assert code in (0, -SIGKILL)
    return code != 0


def test_backup_killed_at_any_step_stays_at_the_position_it_had_reached(warehouse: str, kept: str) -> None:
    """Each kill comes one step later than the last one; a new backup every time, on top of one that is old."""
    with open_store(warehouse, create=True) as store:
        fill(store, 2)
        backup(warehouse, kept)
        store.compact()
        fill(store, 2)
    steps, reached = 0, [6]
    for nth in range(7):
        place = f"{kept}-{nth}"
        backup(kept, place)
        steps += killed(warehouse, place, "backup", nth)
        there = events(place)
        assert there.equals(events(warehouse, len(there)))
        reached.append(len(there))
        assert backup(warehouse, place).position == 12
        assert events(place).equals(events(warehouse))
    assert steps == 6                              # three files, one commit each
    assert reached == sorted(reached)
    assert set(reached) == {6, 9, 12}


def test_killed_restore_leaves_no_log_and_can_be_repeated(warehouse: str, kept: str, restored: str) -> None:
    with open_store(warehouse, create=True) as store:
        fill(store, 2)
    backup(warehouse, kept)
    for nth in range(3):                           # two files, one commit
        assert killed(kept, restored, "fresh", nth)
        with pytest.raises(TableRefusedError, match="there is no event log here"):
            open_store(restored)
    assert restore(kept, restored).position == 6
    assert events(restored, 6).equals(events(warehouse))

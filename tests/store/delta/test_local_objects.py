from __future__ import annotations

import errno
import fcntl
import json
import os
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import pyarrow as pa
import pytest

from store import OutcomeUnknownError, StorageError, StoreClosedError
from store.delta import local_objects
from store.delta.local_objects import LocalObjects


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return tmp_path / "warehouse" / "events"


@pytest.fixture
def objects(root: Path) -> Iterator[LocalObjects]:
    objects = LocalObjects(root)
    yield objects
    objects.close()


@pytest.fixture
def steps(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What is made durable and given a name from now on, in order; temporary files as `.tmp`."""
    steps: list[str] = []
    fsync, link, mkdir = os.fsync, os.link, os.mkdir

    def named(path: str) -> str:
        name = os.path.relpath(path, tmp_path)
        return f"{os.path.dirname(name)}/.tmp" if name.endswith(".tmp") else name

    def noting(step: str, path: str) -> None:
        steps.append(f"{step} {named(path)}")

    monkeypatch.setattr(os, "fsync", lambda file: (noting("fsync", os.readlink(f"/proc/self/fd/{file}")), fsync(file))[1])
    monkeypatch.setattr(os, "link", lambda old, new: (noting("link", new), link(old, new))[1])
    monkeypatch.setattr(os, "mkdir", lambda path, mode=0o777: (noting("mkdir", path), mkdir(path, mode))[1])
    return steps


Failing = Callable[[str, Callable[[str], bool], int], None]


@pytest.fixture
def failing(monkeypatch: pytest.MonkeyPatch) -> Failing:
    """Make `os.fsync` of files, or `os.link` to names, that are `chosen` fail as a disk would."""

    def make(name: str, chosen: Callable[[str], bool], number: int) -> None:
        real = getattr(os, name)

        def call(*args: str) -> None:
            if chosen(os.readlink(f"/proc/self/fd/{args[0]}") if name == "fsync" else args[1]):
                raise OSError(number, os.strerror(number))
            real(*args)

        monkeypatch.setattr(os, name, call)

    return make


def files(root: Path) -> set[str]:
    return {str(path.relative_to(root)) for path in root.rglob("*") if path.is_file()}


# What is written ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("data", [b"bytes", memoryview(b"a view"), pa.py_buffer(b"an Arrow buffer"), b"", bytes(3_000_000)])
def test_what_was_put_is_got(objects: LocalObjects, data: bytes | memoryview | pa.Buffer) -> None:
    objects.put("shard=h/a.parquet", data)
    assert objects.get("shard=h/a.parquet") == bytes(memoryview(data))


def test_put_never_touches_a_file_that_is_there(objects: LocalObjects) -> None:
    objects.put("a", b"first")
    with pytest.raises(StorageError, match="File exists"):
        objects.put("a", b"second")
    assert objects.get("a") == b"first"


def test_put_if_absent_creates_once_and_keeps_the_first(objects: LocalObjects, root: Path) -> None:
    assert [objects.put_if_absent("log/1.json", b"first"), objects.put_if_absent("log/1.json", b"second")] == [True, False]
    assert objects.get("log/1.json") == b"first"
    assert files(root) == {"log/1.json"}


RACE = """
import json, sys
from pathlib import Path
from store.delta.local_objects import LocalObjects
objects, number = LocalObjects(Path(sys.argv[1])), sys.argv[2]
print("ready", flush=True)
sys.stdin.readline()
print(json.dumps([f"log/{name}.json" for name in range(50) if objects.put_if_absent(f"log/{name}.json", number.encode() * 1000)]))
"""


def test_of_eight_racing_processes_exactly_one_wins_each_name(root: Path, objects: LocalObjects) -> None:
    racers = [script(RACE, root, number) for number in range(8)]
    for racer in racers:
        assert racer.stdout is not None
        assert racer.stdout.readline() == "ready\n"
    for racer in racers:
        assert racer.stdin is not None
        racer.stdin.write("go\n")
        racer.stdin.flush()
    won = [(name, number) for number, racer in enumerate(racers) for name in json.loads(racer.communicate(timeout=60)[0])]
    assert Counter(name for name, _ in won) == {f"log/{name}.json": 1 for name in range(50)}
    assert all(objects.get(name) == str(number).encode() * 1000 for name, number in won)
    assert files(root) == {name for name, _ in won}


def script(code: str, *args: object) -> subprocess.Popen[str]:
    command = [sys.executable, "-c", code, *map(str, args)]
    top = Path(local_objects.__file__).parents[2]
    return subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=top)


# Durability ---------------------------------------------------------------------------------------------------


def test_put_syncs_new_directories_then_the_file_then_its_name(objects: LocalObjects, steps: list[str]) -> None:
    objects.put("shard=h/a", b"x")
    assert steps == [
        "mkdir warehouse", "fsync .",
        "mkdir warehouse/events", "fsync warehouse",
        "mkdir warehouse/events/shard=h", "fsync warehouse/events",
        "fsync warehouse/events/shard=h/a", "fsync warehouse/events/shard=h",
    ]


def test_a_known_directory_costs_no_more_than_the_two_syncs(objects: LocalObjects, steps: list[str]) -> None:
    objects.put("a", b"x")
    steps.clear()
    objects.put("b", b"x")
    assert steps == ["fsync warehouse/events/b", "fsync warehouse/events"]


def test_put_if_absent_syncs_the_contents_before_the_name_and_the_name_before_the_answer(objects: LocalObjects, steps: list[str]) -> None:
    objects.put("log/0.json", b"x")
    steps.clear()
    assert objects.put_if_absent("log/1.json", b"x")
    assert steps == ["fsync warehouse/events/log/.tmp", "link warehouse/events/log/1.json", "fsync warehouse/events/log"]


def test_the_name_of_a_directory_that_another_writer_just_made_is_synced(root: Path, objects: LocalObjects, steps: list[str]) -> None:
    (root / "shard=h").mkdir(parents=True)
    steps.clear()
    objects.put("shard=h/a", b"x")
    assert steps == ["fsync warehouse/events", "fsync warehouse/events/shard=h/a", "fsync warehouse/events/shard=h"]


def test_sync_makes_the_file_and_its_name_durable(root: Path, objects: LocalObjects, steps: list[str]) -> None:
    objects.put("log/0.json", b"x")
    (root / "log" / "checkpoint").write_bytes(b"by another library")
    steps.clear()
    objects.sync("log/checkpoint")
    assert steps == ["fsync warehouse/events/log/checkpoint", "fsync warehouse/events/log"]


WRITES: dict[str, Callable[[LocalObjects], object]] = {
    "put": lambda objects: objects.put("b", b"x"),
    "put_if_absent": lambda objects: objects.put_if_absent("b", b"x"),
    "sync": lambda objects: objects.sync("a"),
}


@pytest.mark.parametrize("later", WRITES.values(), ids=WRITES.keys())
@pytest.mark.parametrize("earlier", WRITES.values(), ids=WRITES.keys())
def test_after_a_failed_fsync_every_write_is_refused(
    objects: LocalObjects, failing: Failing, earlier: Callable[[LocalObjects], object], later: Callable[[LocalObjects], object]
) -> None:
    """The kernel may have dropped the data, and would call the next fsync a success."""
    objects.put("a", b"x")
    failures = [True]
    failing("fsync", lambda _: bool(failures), errno.EIO)
    with pytest.raises(StorageError, match=r"fsync of .* failed"):
        earlier(objects)
    failures.clear()
    with pytest.raises(StoreClosedError, match="open the store again"):
        later(objects)


def test_after_a_failed_fsync_reading_goes_on(objects: LocalObjects, failing: Failing) -> None:
    objects.put("a", b"x")
    failing("fsync", lambda _: True, errno.EIO)
    with pytest.raises(StorageError):
        objects.put("b", b"x")
    assert objects.get("a") == b"x"


def test_put_if_absent_whose_contents_are_not_durable_leaves_nothing(objects: LocalObjects, root: Path, failing: Failing) -> None:
    failing("fsync", lambda name: name.endswith(".tmp"), errno.EIO)
    with pytest.raises(StorageError):
        objects.put_if_absent("1.json", b"x")
    assert files(root) == set()


def test_put_if_absent_whose_name_is_not_durable_is_of_unknown_outcome(objects: LocalObjects, root: Path, failing: Failing) -> None:
    objects.put("0.json", b"x")
    failing("fsync", lambda name: name == str(root), errno.EIO)
    with pytest.raises(OutcomeUnknownError, match="open the store and append the same again"):
        objects.put_if_absent("1.json", b"x")
    with pytest.raises(StoreClosedError):          # asked again, it must not find its own file and call it durable
        objects.put_if_absent("1.json", b"x")


# Disks that fail otherwise --------------------------------------------------------------------------------------

FULL = """
import resource, sys
from pathlib import Path
from store.delta.local_objects import LocalObjects
from store.errors import StorageError
objects = LocalObjects(Path(sys.argv[1]))
resource.setrlimit(resource.RLIMIT_FSIZE, (4096, 4096))
for put in (objects.put, objects.put_if_absent):
    try:
        put("big", bytes(10_000))
    except StorageError as error:
        print(error)
objects.put("small", b"x")
"""


def test_a_full_disk_leaves_no_torn_file_and_later_writes_go_on(root: Path) -> None:
    told = script(FULL, root).communicate(timeout=60)[0].splitlines()
    assert len(told) == 2
    assert all(line.startswith(f"cannot write {root}/") and "File too large" in line for line in told)
    assert files(root) == {"small"}


def test_without_hard_links_the_remedy_is_told(objects: LocalObjects, root: Path, failing: Failing) -> None:
    failing("link", lambda _: True, errno.EOPNOTSUPP)
    with pytest.raises(StorageError, match="put the warehouse on a file system with hard links"):
        objects.put_if_absent("1.json", b"x")
    assert files(root) == set()


def test_a_link_that_a_network_file_system_did_not_answer_is_of_unknown_outcome(objects: LocalObjects, failing: Failing) -> None:
    failing("link", lambda _: True, errno.EIO)
    with pytest.raises(OutcomeUnknownError):
        objects.put_if_absent("1.json", b"x")


def test_a_root_that_is_no_directory_is_a_storage_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    objects = LocalObjects(tmp_path / "file")
    for operation in (*WRITES.values(), lambda objects: objects.delete(["a"]), lambda objects: list(objects.list(""))):
        with pytest.raises(StorageError, match="Not a directory"):
            operation(objects)


# Reading --------------------------------------------------------------------------------------------------------


def test_get_of_an_absent_file_is_none(objects: LocalObjects) -> None:
    assert objects.get("absent/a") is None


def test_an_opened_file_is_read_at_any_place(objects: LocalObjects) -> None:
    objects.put("a", b"0123456789")
    with objects.open("a") as file:
        file.seek(7)
        assert (file.size(), file.read(2)) == (10, b"78")


def test_opening_an_absent_file_is_a_storage_error(objects: LocalObjects) -> None:
    with pytest.raises(StorageError, match=r"cannot read .*/absent"):
        objects.open("absent")


def test_listing_is_recursive_sorted_and_relative_to_the_table(objects: LocalObjects) -> None:
    for path in ("log/b", "log/a", "log/deep/c", "logs/d"):
        objects.put(path, b"12345")
    entries = list(objects.list("log"))
    assert [(entry.path, entry.size_bytes) for entry in entries] == [("log/a", 5), ("log/b", 5), ("log/deep/c", 5)]
    assert all(abs(entry.modified_ms / 1000 - time.time()) < 60 for entry in entries)


def test_listing_leaves_out_temporary_files_and_locks(objects: LocalObjects, root: Path) -> None:
    objects.put("a", b"x")
    (root / ".b.tmp").write_bytes(b"x")
    (root / "_turn_of_mine").write_bytes(b"x")
    with objects.turn():
        assert [entry.path for entry in objects.list("")] == ["a"]


def test_leftovers_are_the_temporary_files_and_nothing_else(objects: LocalObjects, root: Path) -> None:
    for path in ("a", "log/1.json", "log/.hidden"):
        objects.put(path, b"x")
    (root / "log" / ".0123.tmp").write_bytes(b"half")
    assert [(entry.path, entry.size_bytes) for entry in objects.leftovers()] == [("log/.0123.tmp", 4)]


def test_listing_an_absent_directory_is_empty(objects: LocalObjects) -> None:
    assert list(objects.list("absent")) == []


def test_deleting_takes_also_what_is_gone(objects: LocalObjects, root: Path) -> None:
    objects.put("a", b"x")
    objects.delete(["gone", "a"])
    assert files(root) == set()


@pytest.mark.parametrize("path", ["../x", "/x", "%2e%2e/x"])
@pytest.mark.parametrize("operation", ["put", "put_if_absent", "get", "open", "list", "delete", "sync", "location"])
def test_a_path_out_of_the_table_is_refused(objects: LocalObjects, operation: str, path: str) -> None:
    with pytest.raises(ValueError, match="does not lie below the table"):
        {
            "put": lambda: objects.put(path, b""),
            "put_if_absent": lambda: objects.put_if_absent(path, b""),
            "get": lambda: objects.get(path),
            "open": lambda: objects.open(path),
            "list": lambda: list(objects.list(path)),
            "delete": lambda: objects.delete([path]),
            "sync": lambda: objects.sync(path),
            "location": lambda: objects.location(path),
        }[operation]()


def test_other_libraries_need_no_more_than_the_absolute_path(objects: LocalObjects, root: Path) -> None:
    assert (objects.location("a/b"), objects.uri) == (f"{root}/a/b", str(root))
    assert (objects.storage_options(), objects.filesystem()) == ({}, None)


def test_closing_gives_back_every_descriptor(objects: LocalObjects) -> None:
    before = len(os.listdir("/proc/self/fd"))
    objects.put("a/b/c", b"x")
    with objects.turn():
        pass
    objects.close()
    assert len(os.listdir("/proc/self/fd")) == before


# Turns ----------------------------------------------------------------------------------------------------------


def is_free(lock: Path) -> bool:
    with suppress(FileNotFoundError), lock.open("rb") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
    return True


@pytest.mark.parametrize("shared", [True, False], ids=["one instance", "an instance each"])
def test_threads_take_turns(root: Path, shared: bool) -> None:
    one, inside, most = LocalObjects(root), 0, 0

    def work() -> None:
        nonlocal inside, most
        objects = one if shared else LocalObjects(root)
        for _ in range(50):
            with objects.turn():
                inside += 1
                most = max(most, inside)
                os.sched_yield()
                inside -= 1

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert most == 1


TURNS = """
import os, sys
from pathlib import Path
from store.delta.local_objects import LocalObjects
objects, mark = LocalObjects(Path(sys.argv[1])), sys.argv[2]
for _ in range(50):
    with objects.turn():
        os.close(os.open(mark, os.O_CREAT | os.O_EXCL))
        os.unlink(mark)
"""


def test_processes_take_turns(root: Path, tmp_path: Path) -> None:
    writers = [script(TURNS, root, tmp_path / "mark") for _ in range(4)]
    for writer in writers:
        writer.communicate(timeout=60)
    assert [writer.returncode for writer in writers] == [0] * 4


def test_a_writer_that_has_just_finished_waits_behind_the_one_that_waited(root: Path) -> None:
    served: list[str] = []

    def wait() -> None:
        with LocalObjects(root).turn():
            served.append("waiting")

    busy, other = LocalObjects(root), threading.Thread(target=wait)
    with busy.turn():
        other.start()
        while is_free(root / "_turn" / "queue"):
            os.sched_yield()
    with busy.turn():
        served.append("busy")
    other.join()
    assert served == ["waiting", "busy"]


def test_a_stopped_writer_does_not_block_others_for_ever(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(local_objects, "TURN_PATIENCE_S", 0.05)
    with LocalObjects(root).turn(), LocalObjects(root).turn() as look_first:
        assert look_first is True


def test_a_turn_that_ended_by_an_error_is_given_up(objects: LocalObjects, root: Path) -> None:
    with pytest.raises(ZeroDivisionError), objects.turn():
        1 / 0  # noqa: B018
    assert is_free(root / "_turn" / "turn")
    assert is_free(root / "_turn" / "queue")


def test_a_forked_child_does_not_keep_the_turn(objects: LocalObjects, root: Path) -> None:
    until, end = os.pipe()
    with objects.turn():
        child = os.fork()
        if child == 0:
            os.close(end)
            os.read(until, 1)                      # until the parent is done
            os._exit(0)
    try:
        assert is_free(root / "_turn" / "turn")
    finally:
        os.close(end)
        os.close(until)
        os.waitpid(child, 0)


def test_a_writer_goes_on_where_there_can_be_no_lock_files(objects: LocalObjects, root: Path) -> None:
    objects.put("a", b"x")
    (root / "_turn").write_bytes(b"")
    with objects.turn() as look_first:
        assert look_first is True

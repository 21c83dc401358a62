from __future__ import annotations

import errno
import json
import os
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from store import OutcomeUnknownError, StorageError, StoreClosedError
from store.storage import local_objects
from store.storage.folders import KEPT
from store.storage.local_objects import TRIALS, LocalObjects


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

    monkeypatch.setattr(os, "fsync", lambda file: (noting("fsync", opened(file)), fsync(file))[1])
    monkeypatch.setattr(os, "link", lambda old, new, **at: (link(old, new, **at), noting("link", below(at["dst_dir_fd"], new))))
    monkeypatch.setattr(os, "mkdir", lambda path, mode=0o777, dir_fd=None: (mkdir(path, mode, dir_fd=dir_fd), noting("mkdir", below(dir_fd, path))))
    return steps


def opened(file: int) -> str:
    """The name that a descriptor was opened by."""
    return os.readlink(f"/proc/self/fd/{file}")


def below(folder: int | None, name: str) -> str:
    return name if folder is None else os.path.join(opened(folder), name)


Failing = Callable[[str, Callable[[str], bool], int], None]


@pytest.fixture
def failing(monkeypatch: pytest.MonkeyPatch) -> Failing:
    """Make `os.fsync` of files, or `os.link` to names, that are `chosen` fail as a disk would."""

    def make(name: str, chosen: Callable[[str], bool], number: int) -> None:
        real = getattr(os, name)

        def call(*args: Any, **at: Any) -> None:
            if chosen(opened(args[0]) if name == "fsync" else args[1]):
                raise OSError(number, os.strerror(number))
            real(*args, **at)

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
from store.storage.local_objects import LocalObjects
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


def test_the_names_of_directories_that_another_writer_just_made_are_synced(root: Path, objects: LocalObjects, steps: list[str]) -> None:
    (root / "shard=h").mkdir(parents=True)
    steps.clear()
    objects.put("shard=h/a", b"x")
    assert steps == ["fsync warehouse", "fsync warehouse/events", "fsync warehouse/events/shard=h/a", "fsync warehouse/events/shard=h"]


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
from store.storage.local_objects import LocalObjects
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
    name = f".{'01' * 16}.tmp"
    (root / "log" / name).write_bytes(b"half")
    assert [(entry.path, entry.size_bytes) for entry in objects.leftovers()] == [(f"log/{name}", 4)]


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


# Links and pipes ------------------------------------------------------------------------------------------------


OPERATIONS: dict[str, Callable[[LocalObjects, str], object]] = {
    "put": lambda objects, path: objects.put(path, b"x"),
    "put_if_absent": lambda objects, path: objects.put_if_absent(path, b"x"),
    "get": lambda objects, path: objects.get(path),
    "open": lambda objects, path: objects.open(path),
    "delete": lambda objects, path: objects.delete([path]),
    "sync": lambda objects, path: objects.sync(path),
    "location": lambda objects, path: objects.location(path),
}


@pytest.fixture
def outside(tmp_path: Path) -> Path:
    (tmp_path / "outside").mkdir()
    (tmp_path / "outside" / "secret").write_bytes(b"not ours")
    return tmp_path / "outside"


@pytest.mark.parametrize("operation", OPERATIONS.values(), ids=OPERATIONS.keys())
@pytest.mark.parametrize("depth", ["shard=h", "a/b"])
def test_a_directory_that_is_a_link_is_refused_by_name(
    objects: LocalObjects, root: Path, outside: Path, operation: Callable[[LocalObjects, str], object], depth: str
) -> None:
    (root / depth).parent.mkdir(parents=True, exist_ok=True)
    (root / depth).symlink_to(outside)
    for name in ("secret", "new"):
        with pytest.raises(StorageError, match=f"{depth} is a symbolic link, .* put what it points to in its place"):
            operation(objects, f"{depth}/{name}")
    assert files(outside) == {"secret"}
    assert (outside / "secret").read_bytes() == b"not ours"


@pytest.mark.parametrize("name", ["get", "open", "sync", "location"])
@pytest.mark.parametrize("target", ["outside/secret", "warehouse/events/real", "nowhere"])
def test_a_file_that_is_a_link_is_not_read(objects: LocalObjects, root: Path, tmp_path: Path, outside: Path, name: str, target: str) -> None:
    objects.put("real", b"ours")
    (root / "a").symlink_to(tmp_path / target)
    with pytest.raises(StorageError, match="a is a symbolic link"):
        OPERATIONS[name](objects, "a")


def test_writing_to_the_name_of_a_link_leaves_what_it_points_to(objects: LocalObjects, root: Path, outside: Path) -> None:
    root.mkdir(parents=True)
    (root / "a").symlink_to(outside / "new")       # it points to nothing: a careless open would make it
    with pytest.raises(StorageError, match="File exists"):
        objects.put("a", b"x")
    assert objects.put_if_absent("a", b"x") is False
    assert files(outside) == {"secret"}


def test_deleting_a_link_leaves_what_it_points_to(objects: LocalObjects, root: Path, outside: Path) -> None:
    root.mkdir(parents=True)
    (root / "a").symlink_to(outside / "secret")
    objects.delete(["a"])
    assert (outside / "secret").exists()
    assert not (root / "a").is_symlink()


def test_links_and_pipes_are_not_listed(objects: LocalObjects, root: Path, outside: Path) -> None:
    objects.put("log/a", b"x")
    (root / "log" / "folder").symlink_to(outside)
    (root / "log" / "file").symlink_to(outside / "secret")
    os.mkfifo(root / "log" / "pipe")
    assert [entry.path for entry in objects.list("")] == ["log/a"]


def test_a_directory_to_list_that_is_a_link_is_refused(objects: LocalObjects, root: Path, outside: Path) -> None:
    root.mkdir(parents=True)
    (root / "log").symlink_to(outside)
    with pytest.raises(StorageError, match="log is a symbolic link"):
        list(objects.list("log"))


@pytest.mark.parametrize("name", ["get", "open", "sync"])
def test_a_pipe_is_refused_without_waiting_for_its_other_end(objects: LocalObjects, root: Path, name: str) -> None:
    root.mkdir(parents=True)
    os.mkfifo(root / "pipe")
    with pytest.raises(StorageError, match=r"pipe \(it is no regular file\)"):
        OPERATIONS[name](objects, "pipe")


def test_lock_files_are_not_made_through_a_link(objects: LocalObjects, root: Path, outside: Path) -> None:
    root.mkdir(parents=True)
    (root / "_turn").symlink_to(outside)
    with objects.turn(), objects.duty() as mine:
        assert mine
    assert files(outside) == {"secret"}


def test_a_lock_file_that_is_a_link_is_not_made(objects: LocalObjects, root: Path, outside: Path) -> None:
    (root / "_turn").mkdir(parents=True)
    for name in ("queue", "turn", "upkeep"):
        (root / "_turn" / name).symlink_to(outside / name)
    with objects.turn(), objects.duty() as mine:
        assert mine
    assert files(outside) == {"secret"}


def test_a_warehouse_may_itself_be_reached_through_a_link(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "real")
    objects = LocalObjects(tmp_path / "link")
    objects.put("shard=h/a", b"x")
    assert (tmp_path / "real" / "shard=h" / "a").read_bytes() == b"x"
    assert objects.get("shard=h/a") == b"x"


# Many directories -----------------------------------------------------------------------------------------------


def test_any_number_of_directories_takes_a_bounded_number_of_descriptors(objects: LocalObjects) -> None:
    before = len(os.listdir("/proc/self/fd"))
    for number in range(2 * KEPT):
        objects.put(f"shard=h{number}/a", b"x")
    assert len(os.listdir("/proc/self/fd")) - before <= KEPT
    assert [objects.get(f"shard=h{number}/a") for number in range(2 * KEPT)] == [b"x"] * 2 * KEPT


def test_a_store_that_closes_takes_no_directory_from_a_thread_that_reads(objects: LocalObjects) -> None:
    """A descriptor closed too early is the next one opened: another directory."""
    objects.put("a/name", b"a")
    stop = threading.Event()
    read: list[bytes | None] = []

    def work() -> None:
        while not stop.is_set():
            read.append(objects.get("a/name"))

    def close() -> None:
        while not stop.is_set():
            objects.close()
            os.close(os.open("/", os.O_RDONLY))

    threads = [threading.Thread(target=target) for target in (work, work, close)]
    for thread in threads:
        thread.start()
    while len(read) < 5_000:
        time.sleep(0.001)
    stop.set()
    for thread in threads:
        thread.join()
    assert set(read) == {b"a"}


def test_two_listings_at_once_are_both_whole(objects: LocalObjects) -> None:
    for number in range(200):
        objects.put(f"log/{number}", b"")
    with ThreadPoolExecutor(4) as pool:
        assert set(pool.map(lambda _: len(list(objects.list("log"))), range(100))) == {200}


@pytest.mark.parametrize(("named", "write"), [("link", LocalObjects.put_if_absent), ("rename", LocalObjects.replace)])
@pytest.mark.parametrize("times", [1, TRIALS - 1, TRIALS])
def test_a_temporary_file_that_a_purge_takes_is_written_again(
    objects: LocalObjects, root: Path, monkeypatch: pytest.MonkeyPatch, named: str, write: Callable[[LocalObjects, str, bytes], Any], times: int
) -> None:
    """Between its writing and its naming; nothing is lost, and after so many times it is refused with nothing written."""
    real, taken = getattr(os, named), list[str]()

    def purged(old: str, new: str, **at: Any) -> None:
        if len(taken) < times:
            taken.append(old)
            objects.delete([entry.path for entry in objects.leftovers()])
        real(old, new, **at)

    monkeypatch.setattr(os, named, purged)
    if times < TRIALS:
        write(objects, "log/1.json", b"one")
        assert objects.get("log/1.json") == b"one"
    else:
        with pytest.raises(StorageError):
            write(objects, "log/1.json", b"one")
        assert objects.get("log/1.json") is None
    assert len(set(taken)) == times
    assert list(objects.leftovers()) == []


# Sweeping -------------------------------------------------------------------------------------------------------

KILLED = """
import os, sys
from pathlib import Path
from store.storage.folders import Folder
from store.storage.local_objects import LocalObjects
Folder.link = lambda *_: os.kill(os.getpid(), 9)
LocalObjects(Path(sys.argv[1])).put_if_absent("_delta_log/0.json", b"x")
"""


def test_what_a_killed_put_left_behind_is_a_leftover(objects: LocalObjects, root: Path) -> None:
    script(KILLED, root).communicate(timeout=60)
    (left,) = (root / "_delta_log").iterdir()
    assert left.name.endswith(".tmp")
    assert [(entry.path, entry.size_bytes) for entry in objects.leftovers()] == [(f"_delta_log/{left.name}", 1)]
    objects.delete([f"_delta_log/{left.name}"])
    assert not left.exists()


def test_leftovers_are_nothing_but_temporary_files_of_puts(objects: LocalObjects, root: Path, outside: Path) -> None:
    ours = f".{'0123456789abcdef' * 2}.tmp"
    for name in ("0.json", ".x.tmp", f"{ours}x", ours[1:]):
        objects.put(os.path.normpath(f"_delta_log/{name}"), b"x")
    (root / "_delta_log" / ours).symlink_to(outside / "secret")
    assert list(objects.leftovers()) == []


"""Turns among the writers of one machine."""

from __future__ import annotations

import fcntl
import os
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

import store
from store.storage.folders import Folders
from store.storage.local_objects import LocalObjects
from store.storage.turnstile import BRIEF_S, PATIENCE_S, Turnstile
from tests.store.delta.test_processes import assert_dense

HOUSE = Path(store.__file__).parents[1]


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return tmp_path / "warehouse" / "events"


@pytest.fixture
def objects(root: Path) -> Iterator[LocalObjects]:
    objects = LocalObjects(root)
    yield objects
    objects.close()


def script(code: str, *args: object) -> subprocess.Popen[str]:
    return subprocess.Popen([sys.executable, "-c", code, *map(str, args)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=HOUSE)


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
from store.storage.local_objects import LocalObjects
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


# Stopped writers ------------------------------------------------------------------------------------------------


class Patience:
    """A clock that goes on by what is slept."""

    def __init__(self) -> None:
        self.slept_s = 0.0

    def now(self) -> float:
        return self.slept_s

    def sleep(self, seconds: float) -> None:
        self.slept_s += seconds

    def turnstile(self, root: Path) -> Turnstile:
        return Turnstile(Folders(str(root), lambda handle, name: None), self.now, self.sleep)


HOLD = """
import sys
from pathlib import Path
from store.storage.local_objects import LocalObjects
objects = LocalObjects(Path(sys.argv[1]))
for _ in range(2):
    with objects.turn():
        print("mine", flush=True)
        sys.stdin.readline()
    print("given up", flush=True)
"""


@pytest.fixture
def stopped(root: Path) -> Iterator[subprocess.Popen[str]]:
    """A process that was stopped with the turn its own. It gives the turn up at each line that it reads."""
    with script(HOLD, root) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "mine\n"
        holder.send_signal(signal.SIGSTOP)
        os.waitpid(holder.pid, os.WUNTRACED)
        try:
            yield holder
        finally:
            holder.kill()


def turns(turnstile: Turnstile, number: int) -> None:
    for _ in range(number):
        with turnstile.turn():
            pass


def test_a_stopped_writer_costs_each_other_one_patience_and_then_hardly_anything(root: Path, stopped: subprocess.Popen[str]) -> None:
    patience = Patience()
    turnstile = patience.turnstile(root)
    turns(turnstile, 1)
    assert PATIENCE_S <= patience.slept_s < PATIENCE_S + 1
    before = patience.slept_s
    turns(turnstile, 100)
    assert patience.slept_s == before
    for _ in range(10):
        patience.slept_s += PATIENCE_S + 1         # as time goes by it asks again, briefly
        before = patience.slept_s
        turns(turnstile, 10)
        assert 0 < patience.slept_s - before < 2 * BRIEF_S


def test_writers_that_pass_by_a_stopped_one_still_take_turns(root: Path, stopped: subprocess.Popen[str]) -> None:
    one, other = Patience(), Patience()
    first, second = one.turnstile(root), other.turnstile(root)
    turns(first, 1)
    turns(second, 1)
    before = other.slept_s
    with first.turn():
        assert not is_free(root / "_turn" / "queue")
        turns(second, 1)
        assert other.slept_s - before >= PATIENCE_S
    assert is_free(root / "_turn" / "queue")


def test_a_stopped_writer_that_goes_on_is_waited_for_again(root: Path, stopped: subprocess.Popen[str]) -> None:
    patience = Patience()
    turnstile = patience.turnstile(root)
    turns(turnstile, 1)
    stopped.send_signal(signal.SIGCONT)
    assert stopped.stdin is not None
    assert stopped.stdout is not None
    stopped.stdin.write("\n")
    stopped.stdin.flush()
    assert stopped.stdout.readline() == "given up\n"
    assert stopped.stdout.readline() == "mine\n"
    stopped.stdin.write("\n")
    stopped.stdin.flush()
    assert stopped.stdout.readline() == "given up\n"
    turns(turnstile, 1)                            # sees it free
    with LocalObjects(root).turn():
        before = patience.slept_s
        turns(turnstile, 1)
        assert patience.slept_s - before >= PATIENCE_S


def test_a_writer_stopped_in_the_queue_leaves_the_turn_to_the_others(root: Path) -> None:
    patience = Patience()
    turnstile = patience.turnstile(root)
    turns(turnstile, 1)
    with (root / "_turn" / "queue").open("rb") as queue:
        fcntl.flock(queue, fcntl.LOCK_EX)
        with turnstile.turn():
            assert not is_free(root / "_turn" / "turn")
        before = patience.slept_s
        turns(turnstile, 100)
        assert patience.slept_s == before


COMMITS = """
import sys
from store import Event, open_store
with open_store(sys.argv[1]) as store:
    for number in range(int(sys.argv[2])):
        store.append(f"own-{sys.argv[3]}", [Event("Happened", {})], number)
"""


def test_commits_go_on_beside_a_stopped_writer(root: Path) -> None:
    """Were patience spent on each commit, this would take minutes and time out."""
    warehouse = str(root.parent)
    store.open_store(warehouse, create=True).close()
    with script(HOLD, root) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "mine\n"
        holder.send_signal(signal.SIGSTOP)
        writers = [script(COMMITS, warehouse, 60, number) for number in range(3)]
        try:
            for writer in writers:
                writer.communicate(timeout=100)
                assert writer.returncode == 0
        finally:
            for process in (*writers, holder):
                process.kill()
    with store.open_store(warehouse) as there:
        assert there.head() == 180


# Many writers ---------------------------------------------------------------------------------------------------

BUSY = """
import sys
from pathlib import Path
from store import Event, WrongExpectedVersionError, open_store
warehouse, stream_id, stop = sys.argv[1:]
with open_store(warehouse) as store:
    event = lambda: [Event("Happened", {"by": sys.argv[2]})]
    for name in (f"first-{stream_id}", None):
        while not Path(stop).exists():
            stream = name or stream_id.partition(":")[0]
            try:
                store.append(stream, event(), store.stream_version(stream))
            except WrongExpectedVersionError:
                continue
            if name:
                print("ready", flush=True)
                break
"""


@pytest.mark.parametrize(("stream", "most"), [("own-{}", 5), ("shared-1:{}", 12)])
def test_of_eight_busy_writers_none_starves(tmp_path: Path, stream: str, most: int) -> None:
    """Counted between two marks in the log, all writers being at it; 30 commits for each, were they alike.

    At exact versions of one stream a turn is often one refusal, so there luck has more to say.
    """
    warehouse, stop = str(tmp_path / "warehouse"), tmp_path / "stop"
    store.open_store(warehouse, create=True).close()
    writers = [script(BUSY, warehouse, stream.format(number), stop) for number in range(8)]
    try:
        for writer in writers:
            assert writer.stdout is not None
            assert writer.stdout.readline() == "ready\n"
        with store.open_store(warehouse) as log:
            begin = log.head()
            while log.head() < begin + 240:
                time.sleep(0.01)
            end = log.head()
            stop.touch()
            for writer in writers:
                writer.communicate(timeout=100)
            assert [writer.returncode for writer in writers] == [0] * 8
            rows = log.read_all(until=end).read_all().to_pylist()
    finally:
        for writer in writers:
            writer.kill()
    assert_dense(rows)
    commits = Counter(row["data"] for row in rows[begin:])
    assert len(commits) == 8
    assert max(commits.values()) <= most * min(commits.values())


# Duty -----------------------------------------------------------------------------------------------------------


def test_one_has_the_duty_and_the_others_are_told_so_at_once(root: Path) -> None:
    with LocalObjects(root).duty() as first, LocalObjects(root).duty() as second, LocalObjects(root).turn():
        assert (first, second) == (True, False)


def test_the_duty_is_free_again_after_it_was_done(objects: LocalObjects) -> None:
    for _ in range(2):
        with objects.duty() as mine:
            assert mine


DUTY = """
import sys
from pathlib import Path
from store.storage.local_objects import LocalObjects
with LocalObjects(Path(sys.argv[1])).duty() as mine:
    print(mine, flush=True)
    sys.stdin.readline()
"""


def test_of_eight_processes_one_has_the_duty_and_its_death_frees_it(root: Path, objects: LocalObjects) -> None:
    processes = [script(DUTY, root) for _ in range(8)]
    try:
        answers = [process.stdout.readline().strip() for process in processes if process.stdout]
        assert sorted(answers) == ["False"] * 7 + ["True"]
        holder = processes[answers.index("True")]
        holder.kill()
        holder.wait()
        with objects.duty() as mine:
            assert mine
    finally:
        for process in processes:
            process.kill()
            process.communicate()


def test_everybody_has_the_duty_where_there_can_be_no_lock_files(objects: LocalObjects, root: Path) -> None:
    objects.put("a", b"x")
    (root / "_turn").write_bytes(b"")
    with objects.duty() as one, objects.duty() as other:
        assert one
        assert other

"""The parent's side of the crash tests: give orders to `crash.py`, hear what became of them, look at what is left."""

from __future__ import annotations

import itertools
import os
import shutil
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, NamedTuple, Self

import orjson
import pyarrow as pa
from deltalake import DeltaTable

import store
from store import Event, open_store
from store.delta.delta_store import DeltaEventStore
from store.schema import EVENTS
from tests.store.delta.crash import Order

HOUSE = Path(store.__file__).parents[1]
PLACES = [name for name in EVENTS.names if name not in ("recorded_at", "occurred_at")]
"""What two runs of one work have in common: everything but the time."""

Row = dict[str, Any]


class Failure(NamedTuple):
    """An error that a victim met: its class, what it says, and the log's head just after it."""

    kind: str
    message: str
    head: int


@dataclass
class Told:
    """What a victim said until it ended."""

    answers: list[list[int]] = field(default_factory=list)
    answers_again: list[list[int]] = field(default_factory=list)
    errors: list[Failure] = field(default_factory=list)
    steps: list[str] = field(default_factory=list)
    ended: int = 0


class Victims:
    """Runs works in processes of their own, one at a time."""

    def __init__(self, module: str = "tests.store.delta.crash") -> None:
        command = [sys.executable, "-m", module]
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd=HOUSE)
        self._stopped = 0

    def run(self, order: Order) -> Told:
        self._send(order)
        return self._until_end(Told())

    @contextmanager
    def stopped(self, order: Order) -> Iterator[Told]:
        """The body runs while it is stopped, or after its end if it never came to that step (`steps` is empty)."""
        self._send(order)
        told = Told()
        if self._heard(told) is None:
            yield told
            os.kill(self._stopped, signal.SIGCONT)
            self._stopped = 0
            self._until_end(told)
        else:
            yield told

    def _send(self, order: Order) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(orjson.dumps(asdict(order)) + b"\n")
        self._process.stdin.flush()

    def _until_end(self, told: Told) -> Told:
        while self._heard(told) is None:
            pass
        assert told.ended in (0, -signal.SIGKILL), "the victim failed by itself: its traceback is above"
        return told

    def _heard(self, told: Told) -> Told | None:
        """Listen until it ends (what it told) or stops (None)."""
        assert self._process.stdout is not None
        for line in self._process.stdout:
            match orjson.loads(line):
                case {"answer": answer, "again": again}:
                    (told.answers_again if again else told.answers).append(answer)
                case {"error": error, "message": message, "head": head}:
                    told.errors.append(Failure(error, message, head))
                case {"step": step, "call": call, "of": of}:
                    told.steps.append(f"step {step}: {call} {of}")
                case {"stopped": child}:
                    self._stopped = child
                    return None
                case {"ended": code}:
                    told.ended = code
                    return told
        raise AssertionError("the victims' process has ended")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self._stopped:
            os.kill(self._stopped, signal.SIGKILL)
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.close()
        self._process.wait()
        self._process.stdout.close()


def lived_in(warehouse: Path) -> Path:
    """A log with sorted runs, a checkpoint and landing files past it."""
    with open_store(str(warehouse), create=True) as store:
        for number in range(4):
            store.append(f"a-{number}", [Event("Happened", {"number": number}) for _ in range(15)])
        store.compact()
        store.checkpoint()
        for number in range(6):
            store.append(f"a-{number}", [Event("Happened", {"number": number}) for _ in range(2)])
    return warehouse


@contextmanager
def memory() -> Iterator[Path]:
    """A folder in memory where there is one: a killed process leaves the same there as on a disk, and an fsync is free."""
    with TemporaryDirectory(dir="/dev/shm" if os.access("/dev/shm", os.W_OK) else None) as folder:
        yield Path(folder)


def copied(template: Path, copies: Iterator[Path]) -> Path:
    """A fresh copy, so that each step is met in the same state."""
    return Path(shutil.copytree(template, next(copies)))


def outcome(victims: Victims, warehouse: Path, work: str) -> tuple[list[Row], Told]:
    """What the work leads to when nobody disturbs it."""
    told = victims.run(Order(work, str(warehouse)))
    assert (told.ended, told.errors) == (0, [])
    with open_store(str(warehouse)) as store:
        return rows_of(store), told


@contextmanager
def explained(told: Told) -> Iterator[None]:
    """Says of a failed assertion at which step it was."""
    try:
        yield
    except BaseException as error:
        error.add_note(f"the victim was met at {told.steps}, told {told.errors}, and had {len(told.answers)} answers")
        raise


def fresh(folder: Path) -> Iterator[Path]:
    return (folder / str(number) for number in itertools.count())


def rows_of(store: DeltaEventStore) -> list[Row]:
    return list(store.read_all().read_all().select(PLACES).to_pylist())


def rows_by_deltalake(warehouse: Path) -> list[Row]:
    """What another Delta reader sees."""
    files = pa.fs.SubTreeFileSystem(f"{warehouse}/events", pa.fs.LocalFileSystem())
    table = DeltaTable(str(warehouse / "events")).to_pyarrow_table(filesystem=files)
    return list(table.select(PLACES).sort_by("position").to_pylist())


def assert_dense(rows: list[Row]) -> None:
    """Law 1, and no event twice."""
    assert [row["position"] for row in rows] == list(range(1, len(rows) + 1))
    versions: Counter[str] = Counter()
    for row in rows:
        versions[row["stream_id"]] += 1
        assert row["version"] == versions[row["stream_id"]], row
    assert len({row["event_id"] for row in rows}) == len(rows)

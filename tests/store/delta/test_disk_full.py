"""A disk that is full or broken at any step: no answer without durability, no wrong refusal, nothing lost, and it goes on."""

from __future__ import annotations

import itertools
import os
import subprocess
import sys
from pathlib import Path

import orjson
import pytest

from store import Event, open_store
from store.delta import log, log_cleanup
from tests.store.delta.crash import ACTS, WORKS, Order
from tests.store.delta.victims import (
    HOUSE,
    Row,
    Told,
    Victims,
    assert_dense,
    copied,
    explained,
    fresh,
    outcome,
    rows_by_deltalake,
    rows_of,
)

FAULTS = [act for act in ACTS if act not in ("kill", "kill_after", "stop")]


@pytest.fixture(autouse=True)
def moments_are_long(monkeypatch: pytest.MonkeyPatch) -> None:
    """As in the victims: log files go at once, so nobody may rely on having seen the log a moment ago."""
    monkeypatch.setattr(log, "ASLEEP_S", 0.0)
    monkeypatch.setattr(log_cleanup, "YOUNGEST_S", 0.0)


@pytest.mark.parametrize("fault", FAULTS)
@pytest.mark.parametrize("work", [work for work in WORKS if work != "create"])
def test_fault_at_any_step_loses_nothing_and_is_told(victims: Victims, template: Path, folder: Path, work: str, fault: str) -> None:
    copies = fresh(folder)
    whole, undisturbed = outcome(victims, copied(template, copies), work)
    step = 0
    for step in itertools.count():
        warehouse = copied(template, copies)
        with open_store(str(warehouse)) as neighbour:
            before = neighbour.head()
            told = victims.run(Order(work, str(warehouse), step, fault))
            if not told.steps:
                break
            with explained(told):
                assert_told_rightly(told, undisturbed, before)
                assert rows_of(neighbour) == whole
                assert neighbour.append("later", [Event("Happened", {})], 0).position == len(whole) + 1
                assert_readable(warehouse, whole)
    assert step > 0 or (work, fault) == ("clean_log", "disk_full")  # which only removes files


def assert_told_rightly(told: Told, undisturbed: Told, before: int) -> None:
    heads = [before, *(answer[0] for answer in undisturbed.answers)]
    first = told.errors[0] if told.errors else None
    assert {failure.kind for failure in told.errors} <= {"StorageError", "OutcomeUnknownError", "StoreClosedError"}
    if "fsync" in told.steps[0]:                   # what was not synced may be lost, so nobody may be told that it is there
        assert first is not None
        if undisturbed.answers:
            assert [failure.kind for failure in told.errors[1:]] == ["StoreClosedError"]
    if first is None:
        assert told.answers == undisturbed.answers
    else:
        assert told.answers == undisturbed.answers[: len(told.answers)]
        assert told.answers_again == undisturbed.answers
        # An error that says that nothing was committed is right.
        assert first.head == heads[len(told.answers)] or first.kind == "OutcomeUnknownError"


def assert_readable(warehouse: Path, whole: list[Row]) -> None:
    with open_store(str(warehouse)) as store:
        rows = rows_of(store)
        assert_dense(rows)
        assert rows[:-1] == whole
        assert rows_by_deltalake(warehouse) == rows


# A file system that is really full ------------------------------------------------------------------------------

FILLING = """
import random, resource, sys
from pathlib import Path
import orjson
from store import Event, StorageError, open_store

place, limited = Path(sys.argv[1]), sys.argv[2] == "limited"
ballast = place / "ballast"
ballast.write_bytes(bytes(200_000))
if limited:
    resource.setrlimit(resource.RLIMIT_FSIZE, (60_000, resource.RLIM_INFINITY))

def events(number):
    filling = random.Random(number).randbytes(2_000 * number if limited else 10_000).hex()
    return [Event("Happened", {"number": number, "filling": filling}, event_id=f"00000000-0000-4000-8000-{number:012d}")]

acknowledged, error = 0, None
with open_store(str(place / "warehouse"), create=True) as store:
    while error is None:
        try:
            store.append("a", events(acknowledged), acknowledged)
            acknowledged += 1
        except StorageError as told:
            error = str(told)
    head = store.head()
    with open_store(str(place / "warehouse")) as other:
        there = [row["event_id"][-12:] for row in other.read_all().read_all().to_pylist()]
    ballast.unlink()
    if limited:
        resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
    again = store.append("a", events(acknowledged), acknowledged)
with open_store(str(place / "warehouse")) as store:
    print(orjson.dumps({
        "acknowledged": acknowledged, "error": error, "head": head, "there": list(map(int, there)), "again": list(again),
        "versions": store.read_stream("a")["version"].to_pylist(),
        "torn": [path.name for path in (place / "warehouse").rglob("*.parquet") if path.stat().st_size < 12],
    }).decode())
"""


def test_full_file_system_refuses_keeps_what_was_acknowledged_and_goes_on_once_there_is_room(tmp_path: Path) -> None:
    """In a small file system of its own; where that cannot be mounted, files may not grow past a limit in its place."""
    mount = ["unshare", "--map-root-user", "--mount", "sh", "-c", 'mount -t tmpfs -o size=1m none "$0" && exec "$@"', str(tmp_path)]
    limited = not mountable(mount)
    command = [*([] if limited else mount), sys.executable, "-c", FILLING, str(tmp_path), "limited" if limited else "full"]
    done = subprocess.run(command, cwd=HOUSE, env=os.environ | {"PYTHONPATH": str(HOUSE)}, stdout=subprocess.PIPE, timeout=120, check=True)
    told = orjson.loads(done.stdout)
    acknowledged = told["acknowledged"]
    assert acknowledged > 5
    assert ("File too large" if limited else "No space left on device") in told["error"]
    assert told["head"] == acknowledged
    assert told["there"] == list(range(acknowledged))
    assert told["again"] == [acknowledged + 1] * 4
    assert told["versions"] == list(range(1, acknowledged + 2))
    assert told["torn"] == []


def mountable(mount: list[str]) -> bool:
    try:
        return subprocess.run([*mount, "true"], stderr=subprocess.DEVNULL, check=False).returncode == 0
    except FileNotFoundError:
        return False

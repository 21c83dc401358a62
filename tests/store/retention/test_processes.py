"""Several processes: what one says of a stream, all obey from the next position on; a removal that is killed has happened, or has not."""

from __future__ import annotations

import random
import subprocess
import sys
import time
from pathlib import Path

import store
from store import Event, open_store
from tests.store.retention.processes import STREAM

HOUSE = Path(store.__file__).parents[1]
SAID = {"by": "ada", "why": "a test"}


def started(work: str, warehouse: Path) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-m", "tests.store.retention.processes", work, str(warehouse)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, cwd=HOUSE)


def test_no_process_appends_behind_a_tombstone(tmp_path: Path) -> None:
    with open_store(tmp_path, create=True) as here:
        others = [started("append", tmp_path) for _ in range(3)]
        for other in others:
            assert other.stdout is not None
            other.stdout.readline()                # all three are at it
        here.retention.tombstone(STREAM, **SAID)
        told = [int(line) for other in others for line in other.communicate()[0].split()]
        assert [other.returncode for other in others] == [0, 0, 0]
        events = here.read_all().read_all().to_pylist()
    (tombstone,) = (event["position"] for event in events if event["type"] == "Tombstoned")
    appended = [event for event in events if event["stream_id"] == STREAM]
    assert [event["version"] for event in appended] == list(range(1, len(appended) + 1))
    assert appended[-1]["position"] < tombstone
    assert set(told) <= {event["version"] for event in appended}


def test_a_killed_removal_has_happened_or_has_not(tmp_path: Path) -> None:
    chance, outcomes = random.Random(9), set()
    with open_store(tmp_path, create=True) as here:
        for number in range(12):
            here.append(f"a-{number}", [Event("Told", {"secret": f"trace-{number}-{event}"}) for event in range(200)])
            here.append(f"b-{number}", [Event("Told", {"kept": event}) for event in range(5)])
            here.retention.tombstone(f"a-{number}", **SAID)
            other = started("remove", tmp_path)
            assert other.stdout is not None
            other.stdout.readline()
            time.sleep(chance.uniform(0, 0.05))    # in the midst of it, mostly
            other.kill()
            other.communicate()
            told = [event["data"].startswith('{"$erased"') for event in here.read_all(categories=["a"]).read_all().to_pylist()]
            assert told[: 200 * number] == [True] * 200 * number
            assert len(set(told[200 * number :])) == 1
            outcomes.add(told[-1])
            here.retention.remove(**SAID)
            assert all(event["data"].startswith('{"kept"') for event in here.read_all(categories=["b"]).read_all().to_pylist())
        assert here.read_all().read_all()["position"].to_pylist() == list(range(1, here.head() + 1))
        assert all(event["data"].startswith('{"$erased"') for event in here.read_all(categories=["a"]).read_all().to_pylist())
    assert store.verify(str(tmp_path)).sound
    assert outcomes                                # mostly both: it depends on the machine

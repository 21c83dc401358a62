"""Four processes of sixteen threads each decide on one stream: no update is lost, nothing is overdrawn, nobody tries for ever."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import orjson

import store
from store import load, open_store, transact
from tests.store.deciding.account import Account, account, deposit

HOUSE = Path(store.__file__).parents[1]
PROCESSES, THREADS, DECISIONS, FUNDS = 4, 16, 64, 200


def test_processes_that_withdraw_at_once_lose_no_update_and_never_overdraw(tmp_path: Path) -> None:
    with open_store(str(tmp_path), create=True) as opened:
        transact(opened, account, "1", deposit(FUNDS))
    command = [sys.executable, "-m", "tests.store.deciding.decider", str(tmp_path), str(THREADS), str(DECISIONS)]
    processes = [subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd=HOUSE, text=True) for _ in range(PROCESSES)]
    for process in processes:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
    attempts = [orjson.loads(process.communicate("go\n")[0]) for process in processes]
    assert [process.returncode for process in processes] == [0] * PROCESSES
    told = [attempt for one in attempts for attempt in one]
    assert (len(told), sum(attempt > 0 for attempt in told)) == (PROCESSES * DECISIONS, FUNDS)
    assert max(told) < 100
    with open_store(str(tmp_path)) as opened:
        loaded = load(opened, account, "1")
        assert (loaded.state, loaded.version) == (Account(None, 0, FUNDS + 1), FUNDS + 1)

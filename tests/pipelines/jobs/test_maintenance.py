from __future__ import annotations

import threading
from pathlib import Path

from projections import Builds
from store import Event, open_store, verify
from tests.pipelines.jobs.conftest import Run, steps, told
from tests.pipelines.ledger import BALANCES, NAMES

OPS = {"maintain_log", "maintain_read_models", "maintain_snapshots", "drop_old_builds", "publish"}


def test_small_files_are_merged_and_the_run_tells_how_many(run: Run, warehouse: str) -> None:
    run("catch_up")
    result = run("maintenance")
    assert (result.success, steps(result)) == (True, OPS)
    log = told(result, "maintain_log")
    assert log["files_merged"] == 40
    assert log["files_made"] < 10
    assert log["made_bytes"] < log["merged_bytes"]
    assert log["checkpoint_bytes"] > 0
    assert {"log_files_removed", "files_removed", "removed_bytes", "seconds"} <= log.keys()
    models = told(result, "maintain_read_models")
    assert (models["tables"], models["left_alone"]) == (len(NAMES), {})
    assert models["checkpoint_bytes"] > 0


def test_read_models_that_are_not_there_are_left_alone_and_told(run: Run, warehouse: str) -> None:
    Builds(warehouse).begin(BALANCES)              # listed, and never written
    models = told(run("maintenance"), "maintain_read_models")
    assert models["left_alone"] == dict.fromkeys(NAMES - {"balances"}, "it was never made")


def test_an_empty_warehouse_is_looked_after_too(run: Run, tmp_path: Path) -> None:
    from tests.pipelines.ledger import loaded

    open_store(tmp_path / "empty", create=True).close()
    assert run("maintenance", loaded(tmp_path / "empty")).success


def test_writers_may_go_on_meanwhile(run: Run, warehouse: str) -> None:
    run("catch_up")
    stop, appended = threading.Event(), list[int]()

    def write() -> None:
        with open_store(warehouse) as store:
            while not stop.is_set():
                appended.append(store.append("account-1", [Event("Deposited", {"amount": 1})]).position)

    writer = threading.Thread(target=write)
    writer.start()
    results = [run("maintenance").success for _ in range(3)]
    stop.set()
    writer.join()
    assert results == [True] * 3
    assert appended == list(range(41, 41 + len(appended)))
    assert verify(warehouse).sound
    assert run("catch_up").success

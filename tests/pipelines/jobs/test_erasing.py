"""Erasing as a job."""

from __future__ import annotations

from pathlib import Path

from store import Event, backup, open_store, restore, traces
from tests.pipelines.jobs.conftest import Run, told, why
from tests.pipelines.ledger import loaded

SECRET = "Ada Lovelace of London"
WHO = {"by": "ann", "why": "asked for it"}


def plant(warehouse: str) -> None:
    with open_store(warehouse) as store:
        store.append("account-1", [Event("Deposited", {"amount": 1, "owner": SECRET}, tags=["of:7"])])


def test_request_is_erased_and_reported(run: Run, warehouse: str) -> None:
    plant(warehouse)
    foretold = told(run("erase", erase_events={"tag": "of:7", "dry_run": True, **WHO}), "erase_events")
    assert (foretold["dry_run"], foretold["events"], traces(warehouse, [SECRET]) != []) == (True, 1, True)
    done = told(run("erase", erase_events={"tag": "of:7", "now": True, **WHO}), "erase_events")
    assert (done["events"], done["streams"]) == (1, 1)
    assert "Dagster's own storage" in done["remains"]
    assert "backups and copies, until you do it: all that were made before" in done["remains"]
    assert traces(warehouse, [SECRET]) == []


def test_request_that_cannot_be_meant_is_not_tried_again(run: Run) -> None:
    result = run("erase", erase_events=WHO)
    assert not result.success
    assert "says of no event that it shall go" in why(result)


def test_restored_copy_is_erased_again(run: Run, warehouse: str, tmp_path: Path) -> None:
    plant(warehouse)
    backup(warehouse, str(tmp_path / "backup"))
    run("erase", erase_events={"streams": ["account-1"], **WHO})
    again = str(tmp_path / "again")
    restore(str(tmp_path / "backup"), again)
    assert told(run("reapply", loaded(again), erase_again={"source": warehouse, "now": True, **WHO}), "erase_again")["streams"] == 1
    assert traces(again, [SECRET]) == []

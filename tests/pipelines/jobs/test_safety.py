from __future__ import annotations

from pathlib import Path

from store import open_store
from tests.pipelines.jobs.conftest import Run, told, why
from tests.pipelines.ledger import deposit, loaded


def test_a_sound_log_is_verified_and_counted(run: Run) -> None:
    result = run("verify")
    seen = told(result, "verify_events")
    assert (result.success, seen["events"], seen["damage"], seen["findings"]) == (True, 40, 0, "none")


def test_damage_fails_the_run_and_is_listed(run: Run, warehouse: str) -> None:
    next(Path(warehouse, "events").rglob("*.parquet")).unlink()
    result = run("verify")
    assert why(result).startswith("the event log is damaged, the first of it: damage: ")
    assert told(result, "verify_events")["damage"] >= 1
    assert told(result, "verify_events")["findings"].startswith("- damage: ")


def test_the_backup_is_brought_up_to_date_and_opens(run: Run, warehouse: str, tmp_path: Path) -> None:
    defs = loaded(warehouse, backup=str(tmp_path / "backup"))
    first = told(run("backup", defs), "copy_events")
    assert (first["position"], first["files_copied"], first["to"]) == (40, 40, str(tmp_path / "backup"))
    deposit(warehouse, [5])
    second = told(run("backup", defs), "copy_events")
    assert (second["position"], second["files_copied"], second["files_kept"]) == (41, 1, 40)
    with open_store(tmp_path / "backup") as store:
        assert store.head() == 41


def test_a_backup_without_a_place_is_refused_with_the_remedy(run: Run, tmp_path: Path) -> None:
    assert why(run("backup")) == "there is no place for the backup: set ALLUVIUM_BACKUP, or give `to`"
    assert run("backup", copy_events={"to": str(tmp_path / "elsewhere")}).success


def test_a_backup_in_the_warehouse_itself_is_refused_and_not_tried_again(run: Run, warehouse: str) -> None:
    result = run("backup", copy_events={"to": warehouse})
    assert not result.success
    assert not [event for event in result.all_events if event.is_step_up_for_retry]

"""The commands: what they print, and the exit codes that scripts rely on."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

import store
from store import open_store
from store.__main__ import DAMAGED, REFUSED, SOUND, main
from tests.store.delta.verifying.damage import commit, contents, data_file, fill, live


@pytest.fixture
def warehouse(tmp_path: Path) -> Path:
    return fill(tmp_path, 6)


def test_sound_log_ends_with_0_and_says_what_was_read(warehouse: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["verify", str(warehouse)]) == SOUND
    assert capsys.readouterr().out.startswith("sound: 6 events in 6 files")


def test_damage_ends_with_1_and_is_named_line_by_line(warehouse: Path, capsys: pytest.CaptureFixture[str]) -> None:
    lost = live(warehouse)[2]
    data_file(warehouse, lost).unlink()
    assert main(["verify", str(warehouse)]) == DAMAGED
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == f"damage: {lost.path}: the log names it, but it is not there; restore it from a backup"
    assert lines[1].startswith("damaged, 1 finding")


def test_notes_alone_are_sound(warehouse: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (warehouse / "events" / "[bold]holiday.jpg").write_bytes(b"")
    assert main(["verify", str(warehouse)]) == SOUND
    assert "note: [bold]holiday.jpg" in capsys.readouterr().out


@pytest.mark.parametrize("command", ["verify", "repair"])
def test_place_without_a_log_ends_with_2_and_without_a_traceback(tmp_path: Path, command: str) -> None:
    ran = subprocess.run(
        [sys.executable, "-m", "store", command, str(tmp_path)], capture_output=True, text=True, cwd=Path(store.__file__).parents[1], check=False
    )
    assert ran.returncode == REFUSED
    assert "no event log" in ran.stderr
    assert "Traceback" not in ran.stderr
    assert ran.stdout == ""


@pytest.mark.parametrize("arguments", [[], ["verify"], ["mend", "x"], ["verify", "x", "--dry-run"]])
def test_bad_usage_ends_with_2(arguments: list[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(arguments)
    assert ended.value.code == REFUSED


def test_unknown_place_ends_with_2(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["verify", "ftp://somewhere"]) == REFUSED
    assert "ftp" in capsys.readouterr().err


def test_repair_mends_and_says_where_things_are(warehouse: Path, capsys: pytest.CaptureFixture[str]) -> None:
    commit(warehouse, 6).write_bytes(b"")
    assert main(["verify", str(warehouse)]) == DAMAGED
    assert main(["repair", str(warehouse)]) == SOUND
    assert f"_delta_log/{6:020d}.json moved to _quarantine/" in capsys.readouterr().out
    assert main(["verify", str(warehouse)]) == SOUND


def test_the_audit_tells_who_repaired_it_and_why(warehouse: Path, capsys: pytest.CaptureFixture[str]) -> None:
    commit(warehouse, 6).write_bytes(b"")
    assert main(["repair", str(warehouse), "--by", "ada", "--why", "a power cut"]) == SOUND
    with open_store(warehouse) as store:
        [(_, deed)] = store.audit.deeds()
    assert (deed.type, deed.by, deed.why) == ("Repaired", "ada", "a power cut")


def test_dry_run_only_says_what_would_be_moved(warehouse: Path, capsys: pytest.CaptureFixture[str]) -> None:
    commit(warehouse, 6).write_bytes(b"")
    before = contents(warehouse)
    assert main(["repair", str(warehouse), "--dry-run"]) == SOUND
    assert f"_delta_log/{6:020d}.json would be moved aside" in capsys.readouterr().out
    assert contents(warehouse) == before


def test_repair_that_is_refused_ends_with_2(warehouse: Path, capsys: pytest.CaptureFixture[str]) -> None:
    data_file(warehouse, live(warehouse)[2]).unlink()
    assert main(["repair", str(warehouse)]) == REFUSED
    assert "restore it from a backup" in capsys.readouterr().err

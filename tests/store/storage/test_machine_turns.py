"""Turns at an object store are taken in a folder of our own in the machine's temporary directory, or not at all."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

import pytest

from store.storage.machine_turns import MachineTurns


@pytest.fixture(autouse=True)
def temporary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(tempfile, "gettempdir", lambda: str(tmp_path))
    return tmp_path


def took_turns(*writers: MachineTurns) -> list[bool]:
    looks = []
    for writer in writers:
        with writer.turn() as look_first:
            looks.append(look_first)
    return looks


def test_writer_looks_first_when_another_had_the_turn() -> None:
    one, other = MachineTurns("s3://bucket/events"), MachineTurns("s3://bucket/events")
    assert took_turns(one, one, other, other, one) == [True, False, True, False, True]


def test_all_who_take_turns_in_a_folder_are_one_machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    one, other = MachineTurns("s3://bucket/events"), MachineTurns("s3://bucket/snapshots")
    assert one.machine == other.machine
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.setattr(tempfile, "gettempdir", lambda: str(tmp_path / "elsewhere"))
    assert MachineTurns("s3://bucket/events").machine != one.machine


@pytest.mark.parametrize("mode", [0o777, 0o720])
def test_folder_that_others_can_change_is_not_used(temporary: Path, mode: int) -> None:
    folder = temporary / f"alluvium-{os.getuid()}"
    folder.mkdir()
    folder.chmod(mode)
    one, other = MachineTurns("s3://bucket/events"), MachineTurns("s3://bucket/events")
    assert took_turns(one, other) == [False, False]
    assert one.machine != other.machine, "who takes no turns with others shares none with them"
    assert list(folder.iterdir()) == []


def test_link_in_place_of_the_folder_is_not_followed(temporary: Path) -> None:
    (temporary / "elsewhere").mkdir()
    (temporary / f"alluvium-{os.getuid()}").symlink_to(temporary / "elsewhere")
    assert took_turns(MachineTurns("s3://bucket/events")) == [False]
    assert list((temporary / "elsewhere").iterdir()) == []

"""What the guide of the command line shows works as it stands, in that order."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest

from pipelines.cli.app import main
from pipelines.cli.outcome import DONE

GUIDE = Path(__file__).parents[3] / "docs" / "cli.md"


def test_the_commands_of_the_guide_work(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("ALLUVIUM_WAREHOUSE", "ALLUVIUM_DOMAIN"):
        monkeypatch.delenv(name, raising=False)
    told = GUIDE.read_text()
    for title, contents in re.findall(r'```\w+ title="([\w.]+)"\n(.*?)```', told, re.DOTALL):
        (tmp_path / title).write_text(contents)
    commands = re.findall(r"^\$ alluvium (.*)$", told, re.MULTILINE)
    assert len(commands) > 30
    for command in commands:
        assert main(shlex.split(command, comments=True)) == DONE, (command, capsys.readouterr().err)
    answered = capsys.readouterr().out
    assert "status open → shipped" not in answered      # of order-2, which is not replayed
    assert "status paid → shipped" in answered

"""What the README and the guides show is what happens: their Python runs as it stands."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

HOUSE = Path(__file__).parent.parent


def test_the_tour_of_the_readme_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.chdir(tmp_path)
    five_minutes, deciding, _ = re.findall(r"```python\n(.*?)```", (HOUSE / "README.md").read_text(), re.DOTALL)
    for shown in (five_minutes, deciding):
        exec(compile(shown, "README.md", "exec"), {})
    told = capsys.readouterr().out
    for promised in re.findall(r"print\(.*\) +# (.*)", deciding):
        assert promised in told or promised.startswith("every type")


def test_the_library_of_the_guide_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.chdir(tmp_path)
    library = re.findall(r"```python\n(.*?)```", (HOUSE / "docs" / "deciding.md").read_text(), re.DOTALL)[0]
    exec(compile(library, "docs/deciding.md", "exec"), {"__name__": "library"})
    told = capsys.readouterr().out.splitlines()
    assert told == re.findall(r"print\(.*\) +# (.*)", library)


def test_the_projections_of_the_guide_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.chdir(tmp_path)
    shown = "".join(re.findall(r"```python\n(.*?)```", (HOUSE / "docs" / "projections.md").read_text(), re.DOTALL))
    exec(compile(shown, "docs/projections.md", "exec"), {"__name__": "guide"})
    told = capsys.readouterr().out.splitlines()
    assert told == re.findall(r"print\(.*\) +# (.*)", shown)

"""What the README and the guides show is what happens: their Python runs as it stands."""

from __future__ import annotations

import ast
import re
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from pipelines.metrics import Sample, Samples

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
    library = blocks("deciding.md")[0]
    exec(compile(library, "docs/deciding.md", "exec"), {"__name__": "library"})
    told = capsys.readouterr().out.splitlines()
    assert told == re.findall(r"print\(.*\) +# (.*)", library)


def test_the_projections_of_the_guide_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.chdir(tmp_path)
    shown = "".join(blocks("projections.md"))
    exec(compile(shown, "docs/projections.md", "exec"), {"__name__": "guide"})
    told = capsys.readouterr().out.splitlines()
    assert told == re.findall(r"print\(.*\) +# (.*)", shown)


def test_the_metrics_of_the_guides_are_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    [told] = [block for block in blocks("operations.md") if "PrometheusObserver" in block]
    shown: dict[str, Any] = {}
    exec(compile(told.replace("port=9465", "port=0"), "docs/operations.md", "exec"), shown)
    assert shown["registry"].get_sample_value("alluvium_events_total") == 1
    [read] = [block for block in blocks("dagster.md") if "scan_delta" in block]
    sample = Sample("", "alluvium_lag_seconds", '{"projection":"fleet"}', 3.0)
    Samples("warehouse").add(datetime(2013, 1, 1, tzinfo=UTC), [sample], datetime(2012, 1, 1, tzinfo=UTC))
    lines = read.rstrip().splitlines()
    exec(compile("\n".join([*lines[:-1], f"answer = {lines[-1]}"]), "docs/dagster.md", "exec"), shown)
    assert shown["answer"].to_dicts()[0] | {"sampled_at": None} == {"sampled_at": None, "projection": "fleet", "lag_s": 3.0}


def blocks(guide: str) -> list[str]:
    return re.findall(r"```python\n(.*?)```", (HOUSE / "docs" / guide).read_text(), re.DOTALL)


def test_the_replay_of_the_guide_answers_as_shown(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    shown: dict[str, Any] = {}
    guide = "".join(blocks("sql.md"))
    for block, answer in re.findall(r"(.*?)\n#> ([^\n]*)\n", guide, re.DOTALL):
        *before, asked = re.split(r"^(?=store\.(?:sql|ask)|warehouse\.sql)", block, flags=re.MULTILINE)
        exec("".join(before), shown)
        assert eval(asked.strip(), shown) == ast.literal_eval(answer), asked
    shown["warehouse"].close()
    shown["store"].close()

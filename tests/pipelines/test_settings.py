from __future__ import annotations

from pathlib import Path

import pytest

from pipelines.settings import Settings


def test_settings_have_defaults_below_the_current_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert Settings.read({}) == Settings(warehouse=str(tmp_path / "warehouse"), domain="pipelines.flights.domain:domain", home=tmp_path)


def test_the_environment_decides() -> None:
    environment = {"ALLUVIUM_WAREHOUSE": "s3://bucket/w", "ALLUVIUM_DOMAIN": "acme.ledger:domain", "DAGSTER_HOME": "/home/d"}
    assert Settings.read(environment) == Settings(warehouse="s3://bucket/w", domain="acme.ledger:domain", home=Path("/home/d"))

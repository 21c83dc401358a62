"""The instances of Dagster that come with the house say the same of what must hold everywhere."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

HOUSE = Path(__file__).parents[2]
EMBEDDED, PRODUCTION = HOUSE / "dagster.yaml", HOUSE / "docs" / "kubernetes" / "dagster.yaml"


def settings(file: Path) -> dict[str, Any]:
    told: dict[str, Any] = yaml.safe_load(file.read_text())
    return told


@pytest.mark.parametrize("file", [EMBEDDED, PRODUCTION], ids=["embedded", "production"])
def test_one_run_of_a_projection_at_a_time(file: Path) -> None:
    told = settings(file)
    assert told["run_coordinator"]["class"] == "QueuedRunCoordinator"        # who enforces pools
    assert told["concurrency"]["pools"] == {"granularity": "run", "default_limit": 1}


def test_what_does_not_depend_on_the_machines_is_the_same_in_both() -> None:
    embedded, production = settings(EMBEDDED), settings(PRODUCTION)
    for part in ("run_coordinator", "retention", "python_logs", "telemetry", "nux", "freshness"):
        assert embedded[part] == production[part], part


def test_all_state_of_the_embedded_one_lies_in_one_place() -> None:
    told = settings(EMBEDDED)
    places = [told["storage"]["sqlite"]["base_dir"], *(told[part]["config"]["base_dir"] for part in ("local_artifact_storage", "compute_logs"))]
    assert all(place == ".dagster" or place.startswith(".dagster/") for place in places)

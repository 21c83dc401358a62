"""The settings, and the only place that reads the environment."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Self


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """`warehouse`: a directory or an object-store URI (ALLUVIUM_WAREHOUSE). `domain`: an import string (ALLUVIUM_DOMAIN).

    `home`: the directory that holds dagster.yaml (DAGSTER_HOME); Dagster's state lies in `.dagster` below it.
    """

    warehouse: str
    domain: str
    home: Path

    @classmethod
    def read(cls, environment: Mapping[str, str] = os.environ) -> Self:
        return cls(
            warehouse=environment.get("ALLUVIUM_WAREHOUSE") or str(Path("warehouse").absolute()),
            domain=environment.get("ALLUVIUM_DOMAIN") or "pipelines.flights.domain:domain",
            home=Path(environment.get("DAGSTER_HOME") or Path.cwd()),
        )

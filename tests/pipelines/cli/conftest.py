from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from pipelines.cli.app import main
from tests.pipelines.ledger import deposit


@dataclass(frozen=True)
class Said:
    """What a command said, and how it ended."""

    code: int
    out: str
    err: str

    @property
    def rows(self) -> list[dict[str, Any]]:
        """Of an answer in JSON."""
        return [json.loads(line) for line in self.out.splitlines()]

    @property
    def facts(self) -> dict[str, Any]:
        [told] = self.rows
        return told


Alluvium = Callable[..., Said]


@pytest.fixture
def alluvium(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Alluvium:
    """Runs a command on a warehouse that is not there yet, with the domain of the ledger."""
    monkeypatch.setenv("ALLUVIUM_WAREHOUSE", str(tmp_path / "warehouse"))
    monkeypatch.setenv("ALLUVIUM_DOMAIN", "tests.pipelines.ledger:domain")
    monkeypatch.setenv("COLUMNS", "180")

    def run(*words: str) -> Said:
        capsys.readouterr()
        code = main(words)
        told = capsys.readouterr()
        return Said(code, told.out, told.err)

    return run


@pytest.fixture
def warehouse(tmp_path: Path) -> Path:
    """Twelve deposits on ten accounts."""
    deposit(tmp_path / "warehouse", range(12))
    return tmp_path / "warehouse"

"""`traces`: what is still there."""

from __future__ import annotations

from pathlib import Path

from pipelines.cli.outcome import DONE, FAILED, FOUND
from tests.pipelines.cli.conftest import Alluvium


def test_traces_of_a_value_are_found(alluvium: Alluvium, warehouse: Path, tmp_path: Path) -> None:
    alluvium("append", "account-1", "Deposited", '{"amount": 1}', "--tag", "of:Ada Lovelace")
    told = alluvium("traces", "Ada Lovelace", "nobody at all", "--json")
    assert told.code == FOUND
    assert {row["value"] for row in told.rows} == {"Ada Lovelace"}
    assert {row["path"].split("/")[0] for row in told.rows} == {"events"}
    (tmp_path / "values.txt").write_text("nobody at all\n\nnor anybody else\n")
    nothing = alluvium("traces", "--values-in", str(tmp_path / "values.txt"))
    assert (nothing.code, nothing.out) == (DONE, "")


def test_too_short_a_value_is_refused(alluvium: Alluvium, warehouse: Path) -> None:
    told = alluvium("traces", "Ada")
    assert told.code == FAILED
    assert "search for 4 at least" in told.err

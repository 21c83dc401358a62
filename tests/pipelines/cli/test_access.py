"""`alluvium access`, and SQL as somebody else would be answered."""

from __future__ import annotations

import hashlib
from pathlib import Path

import duckdb
import pytest

from tests.pipelines.cli.conftest import Alluvium


@pytest.fixture
def grants(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    path = tmp_path / "grants.toml"
    path.write_text('[one]\nstreams = ["account-1"]\n\n[none]\n')
    monkeypatch.setenv("ALLUVIUM_GRANTS", str(path))
    return path


def test_who_owns_a_warehouse_has_all_of_it(alluvium: Alluvium, warehouse: Path) -> None:
    said = alluvium("access", "check", "--json")
    assert said.code == 0
    assert said.rows[0] == {
        "place": "events", "lists": True, "reads": True, "creates": True, "replaces": True, "removes": True, "capability": "maintenance",
    }  # fmt: skip
    assert said.rows[1]["capability"] == "unknown", "there are no snapshots to try it on"
    assert said.rows[-1] == {"events": "maintenance", "more_than_that": None}
    assert alluvium("verify").code == 0, "a check leaves everything as it was"


def test_sql_is_answered_as_who_has_a_grant_would_be(alluvium: Alluvium, warehouse: Path, grants: Path) -> None:
    query = "select distinct stream_id from events"
    assert alluvium("sql", query, "--grant", "one", "--json").rows == [{"stream_id": "account-1"}]
    assert alluvium("sql", query, "--grant", "none", "--json").rows == []
    assert alluvium("sql", "select data from events", "--grant", "one").code == 1
    said = alluvium("sql", query, "--grant", "other")
    assert (said.code, "no grant 'other'" in said.err) == (2, True)


def test_a_grant_without_a_file_of_them_is_told(alluvium: Alluvium, warehouse: Path) -> None:
    said = alluvium("sql", "select 1", "--grant", "one")
    assert (said.code, "ALLUVIUM_GRANTS" in said.err) == (2, True)
    assert alluvium("access", "grants").code == 2


def test_grants_are_listed(alluvium: Alluvium, grants: Path) -> None:
    assert [row["grant"] for row in alluvium("access", "grants", "--json").rows] == ["one", "none"]


def test_a_token_comes_with_what_to_write_of_it(alluvium: Alluvium) -> None:
    made = alluvium("access", "token", "--json").facts
    assert hashlib.sha256(made["token"].encode()).hexdigest() == made["sha256"]
    assert alluvium("access", "token", "--json").facts["token"] != made["token"]


def test_a_database_is_published_for_a_grant(alluvium: Alluvium, warehouse: Path, grants: Path, tmp_path: Path) -> None:
    assert alluvium("publish", str(tmp_path / "one.duckdb"), "--grant", "one", "--json").code == 0
    with duckdb.connect(tmp_path / "one.duckdb", read_only=True) as theirs:
        assert theirs.sql("select distinct stream_id from events").fetchall() == [("account-1",)]
    assert alluvium("publish", "--grant", "one").code == 2

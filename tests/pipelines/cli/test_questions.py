"""`sql`, `replay`, `as-of`, `types`."""

from __future__ import annotations

import io
from pathlib import Path

import duckdb
import pytest

from pipelines.cli.outcome import DONE, FAILED, MISUSED
from pipelines.cli.replaying import merge
from store import Event, open_store
from tests.pipelines.cli.conftest import Alluvium


def test_sql_asks_for_the_log_and_for_read_models(alluvium: Alluvium, warehouse: Path) -> None:
    query = "select account, total, version from balances join streams on account = stream_id where account = 'account-1'"
    assert alluvium("sql", query, "--json").facts == {"account": "account-1", "total": 12, "version": 2}
    assert alluvium("sql", "from balances where account = 'account-1'", "--as-of", "3", "--json").facts["total"] == 1


def test_sql_comes_from_stdin_where_one_asks_for_that(alluvium: Alluvium, warehouse: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO("select count(*) as n from events"))
    assert alluvium("sql", "-", "--json").facts == {"n": 12}


def test_people_are_shown_some_rows_and_told_of_the_rest(alluvium: Alluvium, warehouse: Path) -> None:
    told = alluvium("sql", "from range(1234567) numbers(n)", "--limit", "2")
    assert "… and 1,234,565 more; --limit, --out or --json for all" in told.err
    assert alluvium("sql", "select 1 where false").err == "nothing\n"


@pytest.mark.parametrize("suffix", ["parquet", "csv", "jsonl"])
def test_an_answer_goes_into_a_file_that_others_read(alluvium: Alluvium, warehouse: Path, tmp_path: Path, suffix: str) -> None:
    file = tmp_path / f"answer.{suffix}"
    told = alluvium("sql", "select position, type, tags::varchar as tags from events order by position", "--out", str(file), "--json")
    assert told.facts == {"file": str(file), "rows": 12, "file_bytes": file.stat().st_size}
    assert duckdb.sql(f"select count(*), sum(position), any_value(type) from '{file}'").fetchall() == [(12, 78, "Deposited")]


def test_lists_go_into_text_and_a_question_that_fails_leaves_no_file(alluvium: Alluvium, warehouse: Path, tmp_path: Path) -> None:
    alluvium("append", "note-1", "Noted", "{}", "--tag", "red")
    assert alluvium("sql", "from events where type = 'Noted'", "--out", str(tmp_path / "it's.csv")).code == DONE
    assert "[red]" in (tmp_path / "it's.csv").read_text()
    assert alluvium("sql", "select error('no') from events", "--out", str(tmp_path / "failed.csv")).code == FAILED
    assert not (tmp_path / "failed.csv").exists()


@pytest.mark.parametrize(
    ("out", "problem"), [("answer.xls", "files are written that end in"), ("there.csv", "already: name a new one"), ("no/where.csv", "no directory")]
)
def test_a_file_that_cannot_be_written_is_refused_before_the_question(
    alluvium: Alluvium, warehouse: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, out: str, problem: str
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "there.csv").write_text("mine")
    told = alluvium("sql", "from nothing", "--out", out)
    assert told.code == MISUSED
    assert problem in told.err
    assert (tmp_path / "there.csv").read_text() == "mine"


def test_what_duckdb_does_not_understand_is_no_traceback(alluvium: Alluvium, warehouse: Path) -> None:
    told = alluvium("sql", "from nothing")
    assert told.code == FAILED
    assert told.err.startswith("error: Catalog Error: Table with name nothing does not exist!")


def test_a_stream_is_replayed_by_the_aggregate_of_its_category(alluvium: Alluvium, warehouse: Path) -> None:
    steps = alluvium("replay", "account-1", "--json").rows
    assert [(step["version"], step["position"], step["data"]["amount"], step["state"]) for step in steps] == [(1, 2, 1, 1), (2, 12, 11, 12)]
    told = alluvium("replay", "account-1", "--after", "1").out
    assert "account-1, folded by the aggregate account" in told
    assert "state 1 → 12" in told
    assert "state 0 → 1" not in told


def test_a_stream_without_an_aggregate_is_replayed_by_merging_its_data(alluvium: Alluvium, warehouse: Path) -> None:
    with open_store(warehouse) as store:
        store.append("note-1", [Event("Noted", {"text": "a", "by": "Ada"}), Event("Noted", {"text": "b", "by": None})])
    states = [{"state": step["state"]} for step in alluvium("replay", "note-1", "--json").rows]
    assert states == [{"state": {"text": "a", "by": "Ada"}}, {"state": {"text": "b"}}]
    assert alluvium("sql", "select state from history('note-1')", "--json").rows == states
    told = alluvium("replay", "note-1").out
    assert "text – → a, by – → Ada" in told
    assert "text a → b, by Ada → –" in told


def test_only_as_much_is_replayed_as_is_asked_for(alluvium: Alluvium, warehouse: Path) -> None:
    assert [step["version"] for step in alluvium("replay", "account-1", "--after", "1", "--limit", "5", "--json").rows] == [2]
    assert "1 of 2 events" in alluvium("replay", "account-1", "--limit", "1").err
    assert "no aggregate 'wallet' folds streams of 'account'" in alluvium("replay", "account-1", "--aggregate", "wallet").err
    assert alluvium("replay", "account-99").code == FAILED


def test_a_merge_is_a_json_merge_patch() -> None:
    assert merge({"a": {"b": 1, "c": 2}, "d": [1]}, {"a": {"b": None, "e": 3}, "d": [2]}) == {"a": {"c": 2, "e": 3}, "d": [2]}
    assert merge({"a": 1}, {"a": {"b": None}}) == {"a": {}}


def test_any_past_is_shown(alluvium: Alluvium, warehouse: Path) -> None:
    assert alluvium("as-of", "3", "--stream", "account-1", "--json").facts == {"version": 1, "position": 2, "as_of": 3, "state": 1}
    assert alluvium("as-of", "3", "--projection", "owners", "--json").rows == [
        {"owner": "owner 0", "total": 0}, {"owner": "owner 1", "total": 1}, {"owner": "owner 2", "total": 2},
    ]  # fmt: skip
    assert alluvium("as-of", "3", "--json").facts["events"] == 3
    assert "as of position 0" in alluvium("as-of", "2013-02-08T18:00Z", "--stream", "account-1").out
    alluvium("append", "note-1", "Noted", '{"text": "a"}')
    assert alluvium("as-of", "13", "--stream", "note-1", "--json").facts["state"] == {"text": "a"}
    assert alluvium("as-of", "12", "--stream", "note-1", "--json").facts["state"] == {}


def test_types_are_those_of_the_log_and_of_the_domain(alluvium: Alluvium, warehouse: Path) -> None:
    alluvium("append", "note-1", "Noted", "{}")
    told = alluvium("types", "--json")
    assert [(row["type"], row["read_as"], row["events"], row["fields"]) for row in told.rows] == [
        ("Deposited", "itself", 12, ["amount", "owner"]),
        ("Noted", "unknown", 1, None),
    ]
    assert (told.code, "The domain does not know Noted" in told.err) == (DONE, True)

"""`erase` and `reapply`: asked for, confirmed, and told of."""

from __future__ import annotations

from pathlib import Path

import pytest

from pipelines.cli.outcome import DONE, FAILED, MISUSED
from store import open_store, traces
from store.deeds import deeds
from tests.pipelines.cli.conftest import Alluvium

SECRET = "Ada Lovelace of London"
BASICS = ("--why", "asked for it", "--by", "ann")


@pytest.fixture
def planted(alluvium: Alluvium, warehouse: Path) -> Path:
    alluvium("append", "account-1", "Deposited", f'{{"amount": 1, "owner": "{SECRET}"}}', "--tag", "of:7")
    alluvium("projections", "run")
    return warehouse


def test_everything_that_says_it_goes(alluvium: Alluvium, planted: Path, tmp_path: Path) -> None:
    (tmp_path / "values.txt").write_text(f"{SECRET}\n")
    told = alluvium("erase", "--tag", "of:7", *BASICS, "--now", "--yes", "--values-in", str(tmp_path / "values.txt"), "--json")
    assert told.code == DONE                       # backups may remain
    assert [one["what"] for one in told.facts["remains"]] == ["backups and copies"]
    assert told.facts["streams"] == {"account-1": 1}
    assert traces(str(planted), [SECRET]) == []
    with open_store(planted) as store:
        assert [(deed.type, deed.by, deed.why) for _, deed in deeds(store)][-1] == ("Erased", "ann", "asked for it")
    assert SECRET not in alluvium("sql", "select * from owners").out


def test_dry_run_changes_nothing_and_asks_nobody(alluvium: Alluvium, planted: Path) -> None:
    told = alluvium("erase", "--field", f"owner={SECRET}", "--why", "w", "--dry-run")
    assert told.code == DONE
    assert "Would erase 1 events of 1 streams: the payload of events by the field owner" in told.out
    assert traces(str(planted), [SECRET]) != []


def test_nothing_is_erased_unless_somebody_is_sure(alluvium: Alluvium, planted: Path) -> None:
    told = alluvium("erase", "--stream", "account-1", *BASICS)
    assert told.code == MISUSED
    assert "There is nobody to ask: say --yes" in told.err
    assert traces(str(planted), [SECRET]) != []


def test_parts_of_the_data_are_put_in_place(alluvium: Alluvium, planted: Path) -> None:
    alluvium("erase", "--stream", "account-1", "--where", f"data ->> 'owner' = '{SECRET}'", "--put", 'owner="erased"', *BASICS, "-y")
    assert '"owner":"erased"' in alluvium("stream", "account-1", "--json").out
    assert "erased" in alluvium("sql", "select owner from owners").out


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ((), "says of no event that it shall go"),
        (("--field", "owner"), "is no PATH=VALUE"),
        (("--stream", "a", "--put", "owner=erased"), "has no JSON after the ="),
        (("--stream", "$audit"), "is one of the store's own"),
        (("--where", "no such column = 1"), "is refused"),
    ],
)
def test_what_cannot_be_meant_is_refused(alluvium: Alluvium, planted: Path, words: tuple[str, ...], said: str) -> None:
    told = alluvium("erase", *words, *BASICS, "--yes")
    assert told.code in (FAILED, MISUSED)
    assert said in told.err


def test_reason_is_asked_for(alluvium: Alluvium, planted: Path) -> None:
    assert alluvium("erase", "--stream", "account-1", "--yes").code == MISUSED


def test_restored_copy_is_erased_again(alluvium: Alluvium, planted: Path, tmp_path: Path) -> None:
    alluvium("backup", str(tmp_path / "backup"))
    alluvium("erase", "--tag", "of:7", *BASICS, "--yes")
    again = ("--warehouse", str(tmp_path / "again"))
    alluvium("restore", str(tmp_path / "backup"), *again)
    alluvium("projections", "run", *again)
    told = alluvium("reapply", "--from", str(planted), *BASICS, "--now", "--yes", "--json", *again)
    assert told.facts["streams"] == {"account-1": 1}
    assert traces(str(tmp_path / "again"), [SECRET]) == []

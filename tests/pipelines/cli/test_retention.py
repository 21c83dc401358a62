"""`retention …`: said, confirmed, shown and done."""

from __future__ import annotations

from pathlib import Path

import pytest

from pipelines.cli.outcome import CONFLICT, DONE, FAILED, MISUSED
from store import open_store, traces
from store.deeds import deeds
from tests.pipelines.cli.conftest import Alluvium

WHO = ("--by", "ann", "--why", "policy 7")


@pytest.fixture
def filled(alluvium: Alluvium, warehouse: Path) -> Path:
    for number in range(3):
        alluvium("append", "account-77", "Deposited", f'{{"amount": {number}}}')
    return warehouse


def test_rules_are_kept_and_shown(alluvium: Alluvium, filled: Path) -> None:
    assert alluvium("retention", "keep", "account", "--max-count", "2", "--max-age", "90d", *WHO).code == DONE
    assert alluvium("retention", "show", "--json").rows == [{"of": "account", "max_age_s": 90 * 86_400.0, "max_count": 2}]
    assert "max age    90d" in alluvium("retention", "show", "account-77").out
    told = alluvium("retention", "show", "account-77", "--json").facts
    assert (told["version"], told["hidden"], told["ended"]) == (3, 1, None)
    assert len(alluvium("stream", "account-77", "--json").rows) == 2


@pytest.mark.parametrize(("verb", "ended"), [("delete", "deleted"), ("tombstone", "tombstoned"), ("close", "closed")])
def test_streams_are_ended_by_those_who_are_sure(alluvium: Alluvium, filled: Path, verb: str, ended: str) -> None:
    refused = alluvium("retention", verb, "account-77", *WHO)
    assert (refused.code, "There is nobody to ask: say --yes" in refused.err) == (MISUSED, True)
    assert alluvium("retention", verb, "account-77", "--expected", "2", "--yes", *WHO).code == CONFLICT
    assert alluvium("retention", verb, "account-77", "--expected", "3", "--yes", *WHO, "--json").facts["ended"] == ended


def test_an_append_to_an_ended_stream_fails_with_a_word(alluvium: Alluvium, filled: Path) -> None:
    alluvium("retention", "tombstone", "account-77", "--yes", *WHO)
    refused = alluvium("append", "account-77", "Deposited", '{"amount": 1}')
    assert (refused.code != DONE, "was tombstoned, so it takes no events for ever" in refused.err) == (True, True)


def test_what_is_hidden_is_removed(alluvium: Alluvium, filled: Path) -> None:
    alluvium("retention", "truncate", "account-77", "3", "--yes", *WHO)
    assert alluvium("retention", "remove", "--dry-run", "--json").facts["events"] == 2
    done = alluvium("retention", "remove", *WHO, "--json").facts
    assert (done["events"], done["streams"]) == (2, {"account-77": 2})
    with open_store(filled) as store:
        assert [(deed.type, deed.by, deed.why) for _, deed in deeds(store)][-1] == ("HiddenEventsRemoved", "ann", "policy 7")


def test_what_is_removed_is_in_no_file_any_more_where_somebody_says_so(alluvium: Alluvium, warehouse: Path) -> None:
    alluvium("append", "account-77", "Deposited", '{"amount": 1, "owner": "Ada Lovelace"}')
    alluvium("append", "account-77", "Deposited", '{"amount": 1}')
    alluvium("retention", "truncate", "account-77", "2", "--yes", *WHO)
    assert alluvium("retention", "remove", *WHO).code == DONE
    assert traces(str(warehouse), ["Ada Lovelace"]) != []
    assert alluvium("retention", "remove", "--now", *WHO).code == DONE
    assert traces(str(warehouse), ["Ada Lovelace"]) == []


def test_closed_streams_are_archived(alluvium: Alluvium, filled: Path) -> None:
    alluvium("retention", "close", "account-77", "--yes", *WHO)
    told = alluvium("retention", "archive", "--json").facts
    assert (told["events"], told["files_parted"]) == (0, 0)      # its run is not sealed yet


@pytest.mark.parametrize("age", ["90", "x", "3 weeks", "-1d"])
def test_an_age_that_is_none_is_told(alluvium: Alluvium, filled: Path, age: str) -> None:
    refused = alluvium("retention", "keep", "account", f"--max-age={age}", *WHO)
    assert refused.code in (MISUSED, FAILED)
    assert "is no age" in refused.err

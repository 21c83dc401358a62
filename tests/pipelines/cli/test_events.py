"""`init`, `append`, `read`, `stream`."""

from __future__ import annotations

import io
from pathlib import Path

import pytest

from pipelines.cli.outcome import CONFLICT, DONE, FAILED
from store import open_store
from tests.pipelines.cli.conftest import Alluvium


def test_a_warehouse_is_made_once(alluvium: Alluvium, tmp_path: Path) -> None:
    assert "It is there" in alluvium("init").out
    alluvium("append", "account-1", "Deposited", '{"amount": 1}')
    assert "It was there already" in alluvium("init").out
    assert alluvium("init", "--json").facts == {"warehouse": str(tmp_path / "warehouse"), "events": 1, "delta_version": 1}


def test_an_event_is_appended_with_all_that_is_said_of_it(alluvium: Alluvium, warehouse: Path) -> None:
    id = "01928d6e-0000-7000-8000-000000000001"
    words = ["append", "account-9", "Deposited", '{"amount": 5}', "--expected", "1", "--event-id", id, "--occurred-at", "2013-01-01T12:00+01:00"]
    words += ["--tag", "a", "--tag", "b", "--metadata", '{"by": "hand"}', "--correlation-id", "op-1", "--causation-id", "c-1", "--json"]
    done = alluvium(*words)
    assert done.facts == {"stream_id": "account-9", "version": 2, "position": 13, "event_id": id, "correlation_id": "op-1"}
    assert alluvium(*words).facts == done.facts    # said again, it is appended once
    [event] = alluvium("stream", "account-9", "--after", "1", "--json").rows
    assert (event["event_id"], event["tags"], event["data"], event["metadata"]) == (id, ["a", "b"], {"amount": 5}, {"by": "hand"})
    assert (event["occurred_at"], event["correlation_id"], event["causation_id"]) == ("2013-01-01T11:00:00Z", "op-1", "c-1")


def test_data_comes_from_stdin_where_one_asks_for_that(alluvium: Alluvium, warehouse: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO('{"amount": 9}'))
    assert alluvium("append", "account-1", "Deposited", "-").code == DONE
    assert alluvium("stream", "account-1", "--json", "--backward", "--limit", "1").facts["data"] == {"amount": 9}


@pytest.mark.parametrize(
    ("words", "code", "problem"),
    [
        (["account-1", "Deposited", '{"amount": "much"}'], FAILED, "does not fit Deposited 1"),
        (["account-1", "Deposited", "{"], FAILED, "data"),
        (["account-1", "Deposited", '{"amount": 1}', "--expected", "none"], CONFLICT, "account-1"),
        (["account-1", "Deposited", '{"amount": 1}', "--tag", ""], FAILED, "tag"),
        (["account-1", "Deposited", '{"amount": 1}', "--event-id", "7"], FAILED, "event_id"),
    ],
)
def test_what_cannot_be_appended_is_refused_and_changes_nothing(
    alluvium: Alluvium, warehouse: Path, words: list[str], code: int, problem: str
) -> None:
    told = alluvium("append", *words)
    assert (told.code, told.out) == (code, "")
    assert problem in told.err
    assert "correlation_id=" in told.err
    with open_store(warehouse) as store:
        assert store.head() == 12


def test_types_that_the_domain_does_not_know_pass(alluvium: Alluvium, warehouse: Path) -> None:
    assert alluvium("append", "note-1", "Noted", '{"text": "anything"}').code == DONE


def test_the_log_is_read_by_what_is_asked_for(alluvium: Alluvium, warehouse: Path) -> None:
    alluvium("append", "note-1", "Noted", "{}", "--tag", "red")

    def positions(*words: str) -> list[int]:
        return [event["position"] for event in alluvium("read", "--json", *words).rows]

    assert positions() == list(range(1, 14))
    assert positions("--after", "3", "--until", "5") == [4, 5]
    assert positions("--limit", "2", "--backward") == [13, 12]
    assert positions("--type", "Noted") == positions("--category", "note") == positions("--tag", "red") == [13]
    assert positions("--after", "2013-01-01T00:00Z", "--limit", "1") == [1]
    assert positions("--until", "2013-01-01T00:00Z") == []


def test_people_see_as_much_as_fits_and_are_told_of_the_rest(alluvium: Alluvium, warehouse: Path) -> None:
    alluvium("append", "note-1", "Noted", '{"text": "' + "x" * 1000 + '"}')
    told = alluvium("read", "--after", "10", "--limit", "3")
    assert "account-1" in told.out
    assert "x" * 1000 not in told.out.replace("\n", "")
    assert "…" in told.out
    for amount in range(60):
        alluvium("append", "account-1", "Deposited", f'{{"amount": {amount}}}')
    assert "50 events; there may be more" in alluvium("read").err
    assert "50 of 62: --limit" in alluvium("stream", "account-1").err


def test_a_stream_that_is_not_there_is_no_empty_answer(alluvium: Alluvium, warehouse: Path) -> None:
    told = alluvium("stream", "account-99")
    assert (told.code, told.out) == (FAILED, "")
    assert "there is no stream 'account-99'" in told.err


def test_following_goes_on_with_what_comes(warehouse: Path) -> None:
    import signal
    import subprocess
    import sys

    command = [sys.executable, "-m", "pipelines.cli", "read", "--follow", "--json", "--after", "11", "--warehouse", str(warehouse)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as following, open_store(warehouse) as store:
        assert following.stdout is not None
        assert '"position":12' in following.stdout.readline()
        store.append_table(store.read_stream("account-1").select(["stream_id", "type", "data"]))
        assert '"position":13' in following.stdout.readline()
        following.send_signal(signal.SIGINT)
        assert following.wait(60) == 130
        assert following.stderr is not None
        assert "Traceback" not in following.stderr.read()

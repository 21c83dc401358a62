"""`status`, `projections …`, `dead-letters …`, `snapshots …`, upkeep, safety."""

from __future__ import annotations

import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from pipelines.cli import confirming
from pipelines.cli.outcome import DONE, FAILED, FOUND, MISUSED
from pipelines.metrics import endpoint, process_registry
from projections import SHARDS, Builds, Leases, Processes, ReadModel, Serial, Sql, catch_up
from store import Event, open_store
from tests.pipelines import ledger
from tests.pipelines.cli.conftest import Alluvium


def test_status_shows_everything_on_one_screen(alluvium: Alluvium, warehouse: Path) -> None:
    alluvium("projections", "run", "balances")
    alluvium("append", "account-1", "Deposited", '{"amount": 1}')
    told = alluvium("status", "--json")
    assert (told.code, told.facts["head"], told.facts["concerns"]) == (DONE, 13, [])
    states = {one["projection"]: (one["state"], one["lag"]) for one in told.facts["projections"]}
    assert states == {"balances": ("behind", 1), "owners": ("new", 13), "streams": ("new", 13), "event_types": ("new", 13)}
    assert {one["table"] for one in told.facts["tables"]} == {"events", "balances"}
    assert 0 < told.facts["events_per_s_minute"] <= 13 / 60 + 1e-9
    people = alluvium("status").out
    for seen in ("head 13", "last event", "balances", "behind", "Nothing that somebody should see to."):
        assert seen in people


def test_status_ends_with_3_where_somebody_should_see_to_something(alluvium: Alluvium, warehouse: Path) -> None:
    alluvium("append", "account-1", "Deposited", '{"amount": 666}')
    failed = alluvium("projections", "run")
    assert failed.code == FAILED
    assert "a cursed amount" in failed.err
    told = alluvium("status")
    assert told.code == FOUND
    assert "! owners: halted:" in told.out
    assert "`alluvium projections run owners --park`" in " ".join(told.out.split())
    assert alluvium("projections", "run", "owners", "--park").code == DONE
    assert "`alluvium dead-letters list --projection owners`" in alluvium("status").out


def test_one_that_fails_stops_no_other(alluvium: Alluvium, warehouse: Path) -> None:
    alluvium("append", "account-1", "Deposited", '{"amount": 666}')
    told = alluvium("projections", "run", "owners", "balances", "--json")
    assert told.code == FAILED
    assert [(row["projection"], row["events"], row["checkpoint"]) for row in told.rows] == [("balances", 13, 13)]


def test_projections_are_listed_with_what_they_are_and_their_builds(alluvium: Alluvium, warehouse: Path) -> None:
    alluvium("projections", "run", "balances")
    rows = {row["projection"]: row for row in alluvium("projections", "list", "--json").rows}
    assert rows.keys() == ledger.NAMES
    balances = {"version": 1, "engine": "duckdb", "key": ["account"], "reads": ["all types"], "state": "up to date", "builds": ["v1 (serving)"]}
    assert balances.items() <= rows["balances"].items()
    assert (rows["owners"]["reads"], rows["owners"]["builds"]) == (["Deposited"], [])


def test_a_follower_is_stopped_by_a_signal(warehouse: Path) -> None:
    words = ["projections", "follow", "balances", "-w", str(warehouse), "-d", "tests.pipelines.ledger:domain"]
    model = ReadModel.under(str(warehouse), ledger.BALANCES)
    with subprocess.Popen([sys.executable, "-m", "pipelines.cli", *words], stderr=subprocess.PIPE, text=True) as following:
        assert following.stderr is not None
        assert "with balances; Ctrl-C stops it" in following.stderr.readline()
        while model.checkpoint() < 12:
            assert following.poll() is None
        following.send_signal(signal.SIGTERM)
        assert following.wait(60) == DONE


def test_a_port_that_is_taken_is_told_without_a_traceback(alluvium: Alluvium, warehouse: Path) -> None:
    with endpoint(process_registry(), 0) as port:
        told = alluvium("projections", "follow", "--metrics-port", str(port))
    assert (told.code, "take another port" in told.err) == (FAILED, True)


def changed(monkeypatch: pytest.MonkeyPatch) -> None:
    """The domain's code is another one from now on."""
    form = Sql("select stream_id as account, 2 * (data ->> 'amount')::bigint as total from events", {"total": "sum"})
    projections = (replace(ledger.BALANCES, version=2, form=form), ledger.OWNERS)
    monkeypatch.setattr(ledger, "domain", replace(ledger.domain, projections=projections))


def test_the_way_from_one_build_to_the_next(alluvium: Alluvium, warehouse: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    alluvium("projections", "run", "balances")
    changed(monkeypatch)
    assert alluvium("projections", "run", "balances").code == FAILED
    planned = alluvium("projections", "rebuild", "balances", "--plan", "--json").facts
    assert (planned["events"], planned["after"], planned["until"], planned["unfinished"]) == (12, 0, 12, None)
    differ = alluvium("projections", "diff", "balances", "--json")
    assert (differ.code, len(differ.rows), "the code of now" in differ.err) == (FOUND, 10, True)
    kept = alluvium("projections", "rebuild", "balances", "--keep", "--json").facts
    assert (kept["build"], kept["state"], kept["before"]) == ("v2", "making", None)
    differ = alluvium("projections", "diff", "balances")
    assert (differ.code, "the build v2" in differ.err, "12 → 24" in differ.out) == (FOUND, True, True)
    assert alluvium("projections", "promote", "balances", "--json").facts == {"projection": "balances", "serving": "v2", "before": "v1"}
    assert alluvium("projections", "diff", "balances").code == DONE
    assert alluvium("projections", "roll-back", "balances", "--json").facts["serving"] == "v1"
    assert alluvium("projections", "promote", "balances", "--build", "v2", "--json").facts["serving"] == "v2"
    assert alluvium("projections", "drop", "balances", "v1", "--yes").code == DONE
    assert [build.build for build in Builds(str(warehouse)).of(ledger.domain.projections[0])] == ["v2"]


def test_a_rebuild_without_names_takes_those_that_need_it(alluvium: Alluvium, warehouse: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    alluvium("projections", "run")
    assert "nothing" in alluvium("projections", "rebuild").err
    changed(monkeypatch)
    assert [row["projection"] for row in alluvium("projections", "rebuild", "--json").rows] == ["balances"]


def test_a_second_rebuild_fails_at_once_and_names_the_first(alluvium: Alluvium, warehouse: Path) -> None:
    with Leases(str(warehouse)).held("balances") as first:
        told = alluvium("projections", "rebuild", "balances")
    assert (told.code, told.out) == (FAILED, "")
    assert f"'balances' is being rebuilt by {first.owner}" in told.err


def test_without_a_build_in_the_making_there_is_nothing_to_promote(alluvium: Alluvium, warehouse: Path) -> None:
    alluvium("projections", "run", "balances")
    assert "`alluvium projections rebuild balances --keep` makes one" in alluvium("projections", "promote", "balances").err
    assert "no earlier build is kept" in alluvium("projections", "roll-back", "balances").err


def test_a_pause_holds_until_it_is_resumed(alluvium: Alluvium, warehouse: Path) -> None:
    alluvium("projections", "run", "balances")
    assert alluvium("projections", "pause", "balances", "--why", "a holiday", "--json").facts["state"] == "paused"
    alluvium("append", "account-1", "Deposited", '{"amount": 1}')
    assert "a holiday" in alluvium("projections", "run", "balances").err
    assert alluvium("projections", "resume", "balances", "--json").facts["state"] == "behind"
    assert alluvium("projections", "run", "balances").code == DONE


def test_what_cannot_be_undone_is_asked_for_first(alluvium: Alluvium, warehouse: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    alluvium("projections", "run", "balances")
    commands = ("projections reset balances", "projections drop balances v1", "dead-letters discard balances account-1", "snapshots forget account")
    for command in commands:
        refused = alluvium(*command.split())
        assert (refused.code, "There is nobody to ask: say --yes" in refused.err) == (MISUSED, True)
    monkeypatch.setattr("sys.stdin.isatty", lambda: True, raising=False)
    monkeypatch.setattr(confirming.Confirm, "ask", lambda *args, **named: False)
    assert "nothing was changed" in alluvium("projections", "reset", "balances").err
    assert ReadModel.under(str(warehouse), ledger.BALANCES).row_count() == 10
    monkeypatch.setattr(confirming.Confirm, "ask", lambda *args, **named: True)
    assert alluvium("projections", "reset", "balances").code == DONE
    assert ReadModel.under(str(warehouse), ledger.BALANCES).row_count() == 0


def test_steps_show_the_rows_before_and_after_each_event(alluvium: Alluvium, warehouse: Path) -> None:
    [first, second] = alluvium("projections", "step", "balances", "--stream", "account-1", "--json").rows
    assert (first["before"], first["after"]) == ([], [{"account": "account-1", "total": 1}])
    assert (second["version"], second["before"], second["after"]) == (2, first["after"], [{"account": "account-1", "total": 12}])
    told = alluvium("projections", "step", "balances", "--stream", "account-1", "--after", "1").out
    assert "2  Deposited  at position 12" in told
    assert [line.split()[:2] for line in told.splitlines() if "account-1" in line] == [["−", "account-1"], ["+", "account-1"]]


def test_dead_letters_are_seen_retried_and_given_up(alluvium: Alluvium, warehouse: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for amount in (666, 1):
        alluvium("append", "account-6", "Deposited", f'{{"amount": {amount}}}')
    alluvium("projections", "run", "owners", "--park")
    letters = alluvium("dead-letters", "list", "--json").rows
    assert [(one["projection"], one["position"], one["failed"], one["data"]["amount"]) for one in letters] == [
        ("owners", 13, True, 666), ("owners", 14, False, 1),
    ]  # fmt: skip
    assert "cursed" in alluvium("dead-letters", "list", "--projection", "owners").out
    assert "none" in alluvium("dead-letters", "list", "--projection", "balances").err
    assert alluvium("dead-letters", "retry", "owners", "account-6").code == FAILED
    assert alluvium("dead-letters", "discard", "owners", "account-6", "--yes", "--json").facts["discarded"] == 2
    assert alluvium("dead-letters", "list", "--json").rows == []
    assert alluvium("dead-letters", "retry", "owners", "account-6", "--json").facts["retried"] == 0


def test_snapshots_are_taken_seen_checked_and_forgotten(alluvium: Alluvium, warehouse: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert alluvium("snapshots", "take", "--json").facts == {"aggregate": "account", "snapshots": 10}
    assert alluvium("snapshots", "list", "--json").facts["streams"] == 10
    assert alluvium("snapshots", "check").code == DONE
    wrong = replace(ledger.ACCOUNT, evolve=lambda total, event: total + 1)
    monkeypatch.setattr(ledger, "domain", replace(ledger.domain, aggregates=(wrong,)))
    told = alluvium("snapshots", "check", "--json")
    assert told.code == FOUND
    assert {"aggregate": "account", "stream_id": "account-1", "version": 2, "saved": 12, "folded": 2} in told.rows
    assert alluvium("snapshots", "forget", "account", "--stream", "account-1", "--yes", "--json").facts["forgotten"] == 1
    assert alluvium("snapshots", "list", "--json").facts["streams"] == 9
    assert "take some of account" in alluvium("snapshots", "take", "wallet").err


def test_upkeep_says_what_it_would_do_and_does_it(alluvium: Alluvium, warehouse: Path) -> None:
    alluvium("projections", "run", "balances")
    before = {path for path in warehouse.rglob("*") if path.is_file()}
    rows = {row["table"]: row for row in alluvium("maintain", "--dry-run", "--json").rows}
    assert rows.keys() == {"events", "snapshots", "balances"}
    assert rows["events"]["files_merged"] == 12
    assert alluvium("compact", "--dry-run", "--json").facts == {"dry_run": True, "files_merged": 12}
    assert {path for path in warehouse.rglob("*") if path.is_file()} == before
    assert alluvium("compact", "--json").facts == {"dry_run": False, "files_merged": 12, "files_made": 1}
    assert alluvium("maintain").code == DONE
    with open_store(warehouse) as store:
        assert store.size().files == 1


def test_damage_is_found_and_what_a_crash_left_is_moved_aside(alluvium: Alluvium, warehouse: Path) -> None:
    sound = alluvium("verify", "--json")
    assert (sound.code, sound.facts["sound"], sound.facts["events"], sound.facts["findings"]) == (DONE, True, 12, [])
    torn = warehouse / "events" / "_delta_log" / f"{13:020}.json"
    torn.write_text("")
    found = alluvium("verify", "--json")
    assert (found.code, len(found.facts["findings"])) == (FOUND, 1)
    assert "damage" in alluvium("verify").err
    assert alluvium("repair", "--dry-run", "--json").facts["moved"] == [f"_delta_log/{torn.name}"]
    assert torn.exists()
    assert alluvium("repair", "--json").facts["to"].startswith("_quarantine/")
    assert alluvium("verify").code == DONE


def test_a_backup_is_brought_up_to_date_and_restored_from(alluvium: Alluvium, warehouse: Path, tmp_path: Path) -> None:
    copy, again = str(tmp_path / "copy"), str(tmp_path / "again")
    assert alluvium("backup", copy, "--until", "5", "--json").facts["position"] == 5
    assert alluvium("backup", copy, "--json").facts["position"] == 12
    assert alluvium("restore", copy, "--warehouse", again, "--until", "7", "--json").facts["position"] == 7
    assert [row["type"] for row in alluvium("read", "--warehouse", again, "--json").rows][6:] == ["Deposited", "Restored"]
    refused = alluvium("restore", copy, "--warehouse", again)
    assert (refused.code, "restore into an empty place" in refused.err) == (FAILED, True)


def test_the_bench_measures_and_leaves_nothing_behind(alluvium: Alluvium, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from pipelines.cli import trying

    for name in ("_ALONE", "_THREADS", "_EACH"):
        monkeypatch.setattr(trying, name, 2)
    monkeypatch.setattr(trying, "_BULK", 5_000)
    rows = alluvium("bench", str(tmp_path), "--repeats", "1", "--json").rows
    assert len(rows) == 7
    assert all(row["per second"] > 0 for row in rows)
    assert list(tmp_path.iterdir()) == []
    assert "no directory" in alluvium("bench", str(tmp_path / "nowhere")).err


def test_a_model_of_other_code_is_left_alone_by_upkeep(alluvium: Alluvium, warehouse: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with open_store(warehouse) as store:
        catch_up(store, ReadModel.under(str(warehouse), ledger.BALANCES))
        store.append("account-1", [Event("Deposited", {"amount": 1})])
    changed(monkeypatch)
    assert {row["table"] for row in alluvium("maintain", "--json").rows} == {"events", "snapshots"}


def test_a_rebuild_is_dealt_out_to_those_who_are_named(alluvium: Alluvium, warehouse: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    dealt_out: list[object] = []
    by_stream = replace(ledger.OWNERS, name="accounts_by_owner", by_stream=True)

    def map_here(self: Processes, work: Any, tasks: Any) -> Any:
        dealt_out.extend(tasks)
        return Serial().map(work, tasks)

    monkeypatch.setattr(Processes, "map", map_here)
    monkeypatch.setattr(ledger, "domain", replace(ledger.domain, projections=(ledger.BALANCES, ledger.OWNERS, by_stream)))
    told = alluvium("projections", "rebuild", "accounts_by_owner", "--executor", "processes:2", "--json")
    assert (told.code, "by_stream is True, but events of several streams touch" in told.err, len(dealt_out)) == (FAILED, True, 4)
    dealt_out.clear()
    assert alluvium("projections", "rebuild", "balances", "owners", "--executor", "processes:2").code == DONE
    assert dealt_out == []                         # one is of an engine that takes all cores by itself, the other not by stream
    assert "write serial, processes:4" in alluvium("projections", "rebuild", "owners", "--executor", "threads").err


def test_a_build_is_filled_by_commands_that_know_nothing_of_each_other_and_promoted(alluvium: Alluvium, warehouse: Path) -> None:
    alluvium("projections", "run", "balances")
    first = alluvium("projections", "fill", "balances", *SHARDS[:9], "--json").facts
    assert (first["build"], first["until"], first["left"]) == ("v1-2", 12, list(SHARDS[9:]))
    assert "9 of 16 shards are filled" in alluvium("projections", "promote", "balances").err
    rest = alluvium("projections", "fill", "balances", "--json").facts
    assert (rest["left"], first["events"] + rest["events"], first["rows"] + rest["rows"]) == ([], 12, 10)
    assert alluvium("projections", "promote", "balances", "--json").facts == {"projection": "balances", "serving": "v1-2", "before": "v1"}


def test_a_shard_that_there_is_not_is_refused_with_those_that_there_are(alluvium: Alluvium, warehouse: Path) -> None:
    told = alluvium("projections", "fill", "balances", "h3f")
    assert (told.code, "there is no shard h3f: take some of h0, h1," in told.err) == (MISUSED, True)
    assert "by_stream is not said" in alluvium("projections", "fill", "owners").err


def test_a_rebuild_on_sail_serves_and_what_cannot_be_is_told(alluvium: Alluvium, warehouse: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("pysail.flight")
    assert [row["state"] for row in alluvium("projections", "rebuild", "balances", "owners", "--executor", "sail", "--json").rows] == ["serving"] * 2
    upper = replace(ledger.BALANCES, name="upper", form=Sql("select upper(stream_id) as account, 1 as total from events", {"total": "sum"}))
    monkeypatch.setattr(ledger, "domain", replace(ledger.domain, projections=(ledger.BALANCES, upper)))
    refused = alluvium("projections", "rebuild", "upper", "--executor", "sail:grpc://127.0.0.1:1")
    assert (refused.code, "nobody has proven to give the same on Sail" in refused.err) == (FAILED, True)
    away = alluvium("projections", "rebuild", "balances", "--executor", "sail:grpc://127.0.0.1:1")
    assert (away.code, "run it again, or take another executor" in away.err) == (FAILED, True)

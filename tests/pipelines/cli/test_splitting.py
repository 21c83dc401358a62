"""`logs`, `split`, and what other commands say of a warehouse of several logs."""

from __future__ import annotations

from pathlib import Path

from pipelines.cli.outcome import DONE, FAILED, MISUSED
from tests.pipelines.cli.conftest import Alluvium


def test_a_log_is_split_and_both_are_listed(alluvium: Alluvium, warehouse: Path) -> None:
    told = alluvium("logs", "--json").facts
    assert (told.pop("size") > 0, told) == (True, {"log": "h", "events": 12, "files": 12, "delta version": 12, "split into": []})
    assert alluvium("split", "h", "--into", "2", "--why", "a test", "--yes", "--json").facts == {"log": "h", "logs": "h0-7, h8-f"}
    alluvium("append", "account-1", "Deposited", '{"amount": 1}')
    rows = {row["log"]: row for row in alluvium("logs", "--json").rows}
    assert rows["h"]["split into"] == ["h0-7", "h8-f"]
    assert (rows["h"]["events"], rows["h0-7"]["events"] + rows["h8-f"]["events"]) == (12, 2)
    assert "h0-7, h8-f" in alluvium("logs").out


def test_nobody_splits_by_mistake(alluvium: Alluvium, warehouse: Path) -> None:
    told = alluvium("split", "--why", "a test")
    assert told.code == MISUSED
    assert "cannot be taken back" in told.err
    wrong = alluvium("split", "h3", "--why", "a test", "--yes")
    assert wrong.code == FAILED
    assert "h3 takes no events: split one of h" in " ".join(wrong.err.replace("'", "").split())
    assert [row["log"] for row in alluvium("logs", "--json").rows] == ["h"]


def test_all_commands_go_on_after_a_split(alluvium: Alluvium, warehouse: Path, tmp_path: Path) -> None:
    alluvium("projections", "run", "balances")
    assert alluvium("split", "h", "--into", "4", "--why", "a test", "--yes").code == DONE
    events = tmp_path / "more.csv"
    events.write_text("account,amount\n" + "".join(f"account-{number},{number}\n" for number in range(1, 9)))
    mapping = tmp_path / "map.toml"
    mapping.write_text('stream_id = "account"\ntype = "\'Deposited\'"\n[data]\namount = "amount"\nowner = "account"\n')
    assert alluvium("load", str(events), str(mapping), "--json").facts == {"appended": 8, "already_there": 0, "head": 21}
    assert alluvium("load", str(events), str(mapping), "--json").facts == {"appended": 0, "already_there": 8, "head": 21}
    assert [(row["events"], row["checkpoint"]) for row in alluvium("projections", "run", "balances", "--json").rows] == [(9, 21)]
    assert alluvium("status", "--json").facts["head"] == 21
    assert alluvium("projections", "rebuild", "balances").code == DONE
    assert alluvium("verify", "--json").facts["sound"] is True
    assert alluvium("sql", "select count(*) as events from events", "--json").facts == {"events": 21}
    assert alluvium("maintain").code == DONE
    assert [row["version"] for row in alluvium("stream", "account-1", "--json").rows] == [1, 2, 3]
    assert len(alluvium("read", "--json").rows) == 21
    refused = alluvium("backup", str(tmp_path / "copy"))
    assert refused.code == FAILED
    assert "a backup concerns several logs" in refused.err

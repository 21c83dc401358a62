"""Prometheus scrapes it, and so do we."""

from __future__ import annotations

import http.server
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from prometheus_client import CollectorRegistry, Gauge
from prometheus_client.parser import text_string_to_metric_families

from pipelines.metrics import EndpointError, Sample, ScrapeError, endpoint, scrape
from pipelines.metrics.__main__ import DONE, REFUSED, main
from store import Event, open_store


@pytest.fixture
def registry() -> CollectorRegistry:
    registry = CollectorRegistry()
    Gauge("alluvium_head", "told", registry=registry).set(7)
    return registry


@pytest.fixture
def warehouse(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("ALLUVIUM_WAREHOUSE", str(tmp_path / "warehouse"))
    with open_store(tmp_path / "warehouse", create=True) as store:
        store.append("a-1", [Event("Happened", {}), Event("Happened", {})])
    return tmp_path / "warehouse"


@pytest.fixture
def babble() -> Iterator[str]:
    """Something that is no endpoint of metrics."""

    class Babbling(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.end_headers()
            self.wfile.write(b"alluvium_head seven\n")

        def log_message(self, *_: object) -> None:
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Babbling) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_address[1]}/metrics?token=secret"
        server.shutdown()


def test_what_is_in_the_registry_is_told_at_the_port_and_read_back(registry: CollectorRegistry) -> None:
    with endpoint(registry, 0) as port:
        assert scrape(f"http://127.0.0.1:{port}/metrics") == [Sample(f"127.0.0.1:{port}/metrics", "alluvium_head", "{}", 7)]


def test_a_port_that_is_taken_is_refused_with_the_remedy(registry: CollectorRegistry) -> None:
    with endpoint(registry, 0) as port, pytest.raises(EndpointError, match=f"127.0.0.1:{port} .*: take another port"), endpoint(registry, port):
        pass


def test_once_it_is_closed_nobody_answers_and_that_is_said(registry: CollectorRegistry) -> None:
    with endpoint(registry, 0) as port:
        pass
    with pytest.raises(ScrapeError, match=f"127.0.0.1:{port}/metrics does not answer"):
        scrape(f"http://127.0.0.1:{port}/metrics")


def test_what_is_no_metrics_is_refused_without_telling_what_may_be_secret(babble: str) -> None:
    with pytest.raises(ScrapeError, match="tells no metrics of Prometheus") as refused:
        scrape(babble)
    assert "secret" not in str(refused.value)


def test_a_process_tells_what_the_warehouse_holds_until_it_is_stopped(warehouse: Path) -> None:
    process = subprocess.Popen([sys.executable, "-m", "pipelines.metrics", "--port", "0"], stderr=subprocess.PIPE, text=True)
    assert process.stderr is not None
    address = process.stderr.readline().split(" at ")[1].split(";")[0]
    told = {sample.metric: sample.value for sample in scrape(address, 60)}
    assert (told["alluvium_up"], told["alluvium_head"]) == (1, 2)
    process.send_signal(signal.SIGTERM)
    process.communicate(timeout=60)
    assert process.returncode == DONE


def test_a_file_is_written_once_for_those_who_collect_files(warehouse: Path, tmp_path: Path) -> None:
    assert main(["--textfile", str(tmp_path / "alluvium.prom")]) == DONE
    families = {family.name: family for family in text_string_to_metric_families((tmp_path / "alluvium.prom").read_text())}
    assert families["alluvium_head"].samples[0].value == 2


@pytest.mark.parametrize("arguments", [["--textfile", "/nowhere/alluvium.prom"], ["--port", "99999999"]])
def test_what_cannot_be_done_is_said_in_a_line(warehouse: Path, arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(arguments) == REFUSED
    assert len(capsys.readouterr().err.splitlines()) == 1


def test_without_a_warehouse_it_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setenv("ALLUVIUM_WAREHOUSE", str(tmp_path))
    assert main([]) == REFUSED
    assert "there is no event log here" in capsys.readouterr().err

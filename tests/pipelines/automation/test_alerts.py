from __future__ import annotations

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import dagster as dg
import orjson
import pytest

from pipelines.automation import alerts
from pipelines.automation.alerts import ATTEMPTS, AlertError, alert_sensor, post


class Webhook(ThreadingHTTPServer):
    """Takes posts, and answers with the statuses that it is given, then with 200."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Taker)
        self.statuses: list[int] = []
        self.taken: list[dict[str, Any]] = []
        self.asked: list[str] = []
        self.hold = threading.Event()
        self.hold.set()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}/services/a-secret"


class Taker(BaseHTTPRequestHandler):
    server: Webhook

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.server.asked.append(self.path)
        self.server.hold.wait(30)
        status = self.server.statuses.pop(0) if self.server.statuses else 200
        if status == 200:
            self.server.taken.append(orjson.loads(body))
        self.send_response(status)
        if status == 302:
            self.send_header("Location", f"http://127.0.0.1:{self.server.server_port}/elsewhere")
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, format: str, *args: Any) -> None:
        pass


@pytest.fixture
def webhook() -> Iterator[Webhook]:
    with Webhook() as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield server
        server.hold.set()
        server.shutdown()
        thread.join()


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(alerts, "_LONGEST_WAIT_S", 0.01)


@dg.op
def divide() -> None:
    try:
        raise ZeroDivisionError("nobody divides by nothing")
    except ZeroDivisionError as error:
        raise RuntimeError("it went wrong") from error


@dg.job(tags={"team": "ledger"})
def dividing() -> None:
    divide()


def fail(sensor: dg.SensorDefinition) -> None:
    with dg.DagsterInstance.ephemeral() as instance:
        result = dividing.execute_in_process(instance=instance, raise_on_error=False)
        run, failure = instance.get_run_by_id(result.run_id), result.get_run_failure_event()
        assert run is not None
        status = dg.build_run_status_sensor_context("alert_on_failure", failure, instance, run)
        sensor(status.for_run_failure())


def test_a_failed_run_is_told_with_what_was_said_first(webhook: Webhook) -> None:
    fail(alert_sensor("/the/warehouse", webhook.url))
    [told] = webhook.taken
    assert told["text"] == "dividing failed on /the/warehouse: divide: ZeroDivisionError: nobody divides by nothing"
    assert (told["job"], told["warehouse"], told["tags"]["team"], list(told["steps"])) == ("dividing", "/the/warehouse", "ledger", ["divide"])
    assert len(told["run_id"]) == 36


def test_without_an_address_it_is_told_in_the_log_alone_by_whoever_starts_the_sensor() -> None:
    sensor = alert_sensor("w", None)
    assert sensor.default_status is dg.DefaultSensorStatus.STOPPED
    fail(sensor)


def test_with_an_address_it_runs_by_itself(webhook: Webhook) -> None:
    assert alert_sensor("w", webhook.url).default_status is dg.DefaultSensorStatus.RUNNING


def test_what_a_server_cannot_take_now_is_told_again(webhook: Webhook) -> None:
    webhook.statuses = [503, 429]
    post(webhook.url, {"text": "x"})
    assert webhook.taken == [{"text": "x"}]


def test_a_refusal_is_an_error_at_once_that_keeps_the_address_secret(webhook: Webhook) -> None:
    webhook.statuses = [403]
    with pytest.raises(AlertError, match=r"127.0.0.1 refused the alert \(403 Forbidden\): see that ALLUVIUM_ALERT_URL is right") as error:
        post(webhook.url, {"text": "x"})
    assert (len(webhook.asked), "a-secret" in str(error.value)) == (1, False)


def test_nobody_is_followed_elsewhere(webhook: Webhook) -> None:
    webhook.statuses = [302]
    with pytest.raises(AlertError, match="refused the alert"):
        post(webhook.url, {"text": "x"})


def test_a_server_that_does_not_answer_in_time_is_given_up(webhook: Webhook) -> None:
    webhook.hold.clear()
    with pytest.raises(AlertError, match=f"did not take the alert, {ATTEMPTS} times: timed out: see that it answers"):
        post(webhook.url, {"text": "x"}, timeout_s=0.05)
    assert len(webhook.asked) == ATTEMPTS


def test_a_server_that_is_not_there_is_told_with_the_remedy() -> None:
    with Webhook() as gone:
        url = gone.url
    with pytest.raises(AlertError, match="Connection refused: see that it answers"):
        post(url, {"text": "x"})

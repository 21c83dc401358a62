"""Telling somebody that a run failed: in the log, and by a POST to a web address such as Slack's."""

from __future__ import annotations

import http.client
from collections.abc import Mapping
from typing import Any, Final
from urllib.error import HTTPError, URLError
from urllib.parse import urlsplit
from urllib.request import HTTPRedirectHandler, Request, build_opener

import dagster as dg
import orjson
from tenacity import Retrying, retry_if_exception_type, stop_after_attempt, wait_random_exponential

TIMEOUT_S: Final = 5.0
ATTEMPTS: Final = 3
_LONGEST_WAIT_S: Final = 4.0
_MOST_STEPS: Final = 20


class AlertError(Exception):
    """Nobody was told. The message names the host alone: who knows the whole address may post there."""


def alert_sensor(warehouse: str, url: str | None) -> dg.SensorDefinition:
    """Runs by itself where there is a URL; else somebody may start it, for the log alone."""

    @dg.run_failure_sensor(
        name="alert_on_failure",
        default_status=dg.DefaultSensorStatus.RUNNING if url else dg.DefaultSensorStatus.STOPPED,
        description="Tells of every run that failed, in the log and to ALLUVIUM_ALERT_URL.",
    )
    def alert_on_failure(context: dg.RunFailureSensorContext) -> None:
        told = alert(warehouse, context)
        context.log.error(told["text"])
        if url:
            post(url, told)

    return alert_on_failure


def alert(warehouse: str, context: dg.RunFailureSensorContext) -> dict[str, Any]:
    """`text` is for people, and what Slack, Mattermost and their like show; the rest for programs."""
    run, steps = context.dagster_run, context.get_step_failure_events()[:_MOST_STEPS]
    failed = {event.step_key: _why(event) for event in steps if event.step_key}
    why = "; ".join(f"{step}: {said}" for step, said in failed.items()) or context.failure_event.message or "no step says why"
    text = f"{run.job_name} failed on {warehouse}: {why}"
    return {"text": text, "warehouse": warehouse, "job": run.job_name, "run_id": run.run_id, "steps": failed, "tags": dict(run.tags)}


def post(url: str, told: Mapping[str, Any], timeout_s: float = TIMEOUT_S) -> None:
    """As JSON; tried again after a failure of the network or the server. AlertError: nobody took it."""
    host = urlsplit(url).hostname
    wait = wait_random_exponential(0.1, _LONGEST_WAIT_S)
    try:
        for attempt in Retrying(stop=stop_after_attempt(ATTEMPTS), wait=wait, retry=retry_if_exception_type(_UnheardError), reraise=True):
            with attempt:
                _post(url, orjson.dumps(told, default=str), timeout_s)
    except _UnheardError as error:
        raise AlertError(f"{host} did not take the alert, {ATTEMPTS} times: {error}: see that it answers") from None
    except HTTPError as error:
        raise AlertError(f"{host} refused the alert ({error.code} {error.reason}): see that ALLUVIUM_ALERT_URL is right") from None


class _UnheardError(Exception):
    """It may be heard when it is said again."""


class _Unmoved(HTTPRedirectHandler):
    """Nobody is followed elsewhere with what is told."""

    def redirect_request(self, *_: Any, **__: Any) -> None:
        return None


def _post(url: str, body: bytes, timeout_s: float) -> None:
    request = Request(url, body, {"Content-Type": "application/json", "User-Agent": "alluvium"}, method="POST")
    try:
        with build_opener(_Unmoved).open(request, timeout=timeout_s):
            return
    except HTTPError as error:
        with error:
            if error.code >= 500 or error.code == 429:
                raise _UnheardError(f"{error.code} {error.reason}") from None
            raise
    except (URLError, TimeoutError, OSError, http.client.HTTPException) as error:
        raise _UnheardError(str(getattr(error, "reason", error)) or type(error).__name__) from None


def _why(event: dg.DagsterEvent) -> str:
    """What was said first: the causes are below Dagster's own message."""
    error = event.step_failure_data.error
    while error is not None and error.cause is not None:
        error = error.cause
    return (event.message or "" if error is None else error.message).strip()

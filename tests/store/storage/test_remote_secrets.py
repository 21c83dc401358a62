"""No credential is ever told: not in an error, nor in what caused it, nor in a log, whatever fails and whatever the server quotes."""

from __future__ import annotations

import asyncio
import logging
import traceback
from collections.abc import Callable, Iterator

import pytest

from store import Event, StorageError, StoreError, open_store
from store.delta.delta_store import DeltaEventStore
from store.observer import LoggingObserver
from store.storage import breaker, connection
from store.storage.remote_objects import RemoteObjects
from tests.store.facts import facts, table
from tests.store.storage.proxy import Fault, Proxy, echoing, lost_request

KEY, SECRET, TOKEN, SIGNATURE, PASSWORD = "AKIAPLANTEDKEY", "PlantedSecretKey", "PlantedSessionToken", "PlantedSignature", "PlantedPassword"
PLANTED = (KEY, SECRET, TOKEN, SIGNATURE, PASSWORD, "X-Amz-", "AWS4-HMAC", "127.0.0.1")


@pytest.fixture(autouse=True)
def planted(proxy: Proxy, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", KEY)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", SECRET)
    monkeypatch.setenv("AWS_SESSION_TOKEN", TOKEN)
    monkeypatch.setattr(connection, "RETRIES", 1)
    monkeypatch.setattr(connection, "FIRST_BACKOFF_S", 0.001)
    monkeypatch.setattr("store.delta.log.SETTLE_S", 0.0)
    logging.getLogger("werkzeug").setLevel(logging.ERROR)  # the server's own, which sees what it is sent
    caplog.set_level(logging.DEBUG)


@pytest.fixture
def store(s3_warehouse: str, proxy: Proxy) -> Iterator[DeltaEventStore]:
    with open_store(s3_warehouse, create=True) as other:
        for number in range(3):
            other.append("a", facts(1), number)
    store = open_store(s3_warehouse)
    yield store
    proxy.always = None
    store.close()


def told(error: BaseException) -> str:
    """All that anybody could print of an error, and of what led to it."""
    parts, errors, seen = [], [error], set()
    while errors:
        one = errors.pop()
        if id(one) not in seen:
            seen.add(id(one))
            parts += [str(one), repr(one), repr(one.args), repr(vars(one)), *traceback.format_exception(one)]
            errors += [linked for linked in (one.__cause__, one.__context__) if linked is not None]
    return "\n".join(parts)


def assert_silent(text: str) -> None:
    assert [secret for secret in PLANTED if secret in text] == []


async def awaited(store: DeltaEventStore) -> object:
    return await store.aio.append("a", [Event("Happened", {})])


VERBS: dict[str, Callable[[DeltaEventStore], object]] = {
    "append": lambda store: store.append("a", facts(1), 3),
    "append to a cold stream": lambda store: store.append("a", facts(1)),
    "append_table": lambda store: store.append_table(table(10)),
    "aio": lambda store: asyncio.run(awaited(store)),
    "read_stream": lambda store: store.read_stream("a"),
    "read_all": lambda store: store.read_all().read_all(),
    "subscribe": lambda store: next(store.subscribe()),
    "head": lambda store: store.head(),
    "stream_version": lambda store: store.stream_version("a"),
    "sql": lambda store: store.sql("select * from events").fetchall(),
    "compact": lambda store: store.compact(),
    "checkpoint": lambda store: store.checkpoint(),
    "open": lambda store: open_store(store._objects.uri.removesuffix("/events")),
}
FAULTS: dict[str, Fault] = {"refused": echoing(403), "dropped": lost_request}
faults = pytest.mark.parametrize("fault", FAULTS.values(), ids=FAULTS)
verbs = pytest.mark.parametrize("verb", VERBS.values(), ids=VERBS)


@faults
@verbs
def test_no_error_of_the_store_tells_a_credential(
    store: DeltaEventStore, proxy: Proxy, caplog: pytest.LogCaptureFixture, verb: Callable[[DeltaEventStore], object], fault: Fault
) -> None:
    proxy.always = fault
    with pytest.raises(StoreError) as failed:
        verb(store)
    assert_silent(told(failed.value))
    assert_silent(caplog.text + repr(store) + repr(store._objects) + repr(vars(store._objects)))


@pytest.mark.parametrize("only", ["/shard", "PUT"])
@verbs
def test_no_error_of_a_store_half_cut_off_tells_a_credential(
    store: DeltaEventStore, proxy: Proxy, caplog: pytest.LogCaptureFixture, verb: Callable[[DeltaEventStore], object], only: str
) -> None:
    """The log can be read, data files cannot; or nothing can be written."""
    proxy.only, proxy.always = only, echoing(403)
    try:
        verb(store)
    except Exception as error:
        assert_silent(told(error))
    assert_silent(caplog.text)


def test_an_open_circuit_tells_no_credential(store: DeltaEventStore, proxy: Proxy, caplog: pytest.LogCaptureFixture) -> None:
    proxy.always = echoing(503)
    for _ in range(breaker.FAILURES + 1):
        with pytest.raises(StorageError) as failed:
            store.head()
    assert "503" in str(failed.value)
    assert "circuit" in caplog.text
    assert_silent(told(failed.value) + caplog.text)


@pytest.mark.parametrize(
    "endpoint",
    [
        "{proxy}/?X-Amz-Credential={key}&X-Amz-Signature={signature}",
        "{proxy}/#{signature}",
        "http://{key}:{password}@{host}",
        "{proxy}/{signature} {password}",
        "no-scheme-{signature}",
        "http://[{password}",
        "http://{password}\n",
        "ftp://{password}",
    ],
)
@pytest.mark.parametrize("variable", ["AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_S3"])
def test_an_endpoint_that_is_none_or_holds_a_secret_is_refused_without_telling_it(
    s3_warehouse: str, proxy: Proxy, monkeypatch: pytest.MonkeyPatch, endpoint: str, variable: str
) -> None:
    host = proxy.endpoint.removeprefix("http://")
    monkeypatch.setenv(variable, endpoint.format(proxy=proxy.endpoint, host=host, key=KEY, signature=SIGNATURE, password=PASSWORD))
    with pytest.raises(StorageError, match=f"{variable} in the environment is no endpoint") as failed:
        open_store(s3_warehouse)
    assert_silent(told(failed.value))


@faults
def test_no_error_tells_the_endpoint(s3_warehouse: str, proxy: Proxy, monkeypatch: pytest.MonkeyPatch, fault: Fault) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", f"{proxy.endpoint}/{SIGNATURE}")
    proxy.always = fault
    for verb in (lambda: open_store(s3_warehouse), lambda: RemoteObjects(s3_warehouse, LoggingObserver()).put_if_absent("a", b"x")):
        with pytest.raises(StoreError) as failed:
            verb()
        assert_silent(told(failed.value))

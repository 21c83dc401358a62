"""An object store that fails for a moment is asked again; one that fails for longer is left alone; nothing is told that is not so."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress

import pytest

from store import Event, OutcomeUnknownError, StorageError, StorageUnavailableError, open_store
from store.delta.delta_store import DeltaEventStore
from store.observer import Circuit, Measurement
from store.storage import breaker, connection
from store.storage.remote_objects import RemoteObjects
from tests.store.storage.proxy import Fault, Proxy, echoing, late_unavailable, lost_reply, lost_request, mute, passed, unavailable


class Measurements(list[Measurement]):
    record = list.append


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connection, "FIRST_BACKOFF_S", 0.001)
    monkeypatch.setattr(connection, "MAX_BACKOFF_S", 0.01)


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connection, "REQUEST_TIMEOUT_S", 0.3)
    monkeypatch.setattr(connection, "RETRIES", 1)


@pytest.fixture
def seen() -> Measurements:
    return Measurements()


@pytest.fixture
def objects(proxy: Proxy, s3_warehouse: str, seen: Measurements, request: pytest.FixtureRequest) -> RemoteObjects:
    if "impatient" in request.fixturenames:
        request.getfixturevalue("impatient")
    objects = RemoteObjects(s3_warehouse, seen)
    objects.put("there", b"0123456789")
    proxy.asked.clear()
    return objects


VERBS: dict[str, Callable[[RemoteObjects], object]] = {
    "put": lambda objects: objects.put("new", b"x"),
    "put_if_absent": lambda objects: objects.put_if_absent("new", b"x"),
    "get": lambda objects: objects.get("there"),
    "open": lambda objects: objects.open("there").read(),
    "list": lambda objects: list(objects.list("")),
    "delete": lambda objects: objects.delete(["there"]),
}
verbs = pytest.mark.parametrize("verb", VERBS.values(), ids=VERBS)


# Retries ----------------------------------------------------------------------------------------------------------


@verbs
@pytest.mark.parametrize("fault", [unavailable, lost_request])
def test_verb_succeeds_once_the_store_recovers(objects: RemoteObjects, proxy: Proxy, verb: Callable[[RemoteObjects], object], fault: Fault) -> None:
    proxy.faults = [fault] * connection.RETRIES
    verb(objects)
    assert proxy.faults == []


@pytest.mark.parametrize("fault", [unavailable, lost_request, lost_reply])
def test_what_is_got_after_some_failures_is_the_object(objects: RemoteObjects, proxy: Proxy, fault: Fault) -> None:
    proxy.faults = [fault] * connection.RETRIES
    assert objects.get("there") == b"0123456789"


@verbs
def test_verb_is_given_up_after_so_many_tries(objects: RemoteObjects, proxy: Proxy, verb: Callable[[RemoteObjects], object]) -> None:
    proxy.always = unavailable
    with pytest.raises((StorageError, OutcomeUnknownError), match="503 Service Unavailable"):
        verb(objects)
    assert len(proxy.asked) == connection.RETRIES + 1


@pytest.mark.usefixtures("impatient")
@pytest.mark.parametrize("name", ["put", "get", "open", "list"])
def test_verb_without_a_reply_is_tried_again(objects: RemoteObjects, proxy: Proxy, name: str) -> None:
    proxy.faults = [mute]
    VERBS[name](objects)
    assert proxy.faults == []


@pytest.mark.usefixtures("impatient")
@verbs
def test_verb_ends_although_the_store_stays_mute(objects: RemoteObjects, proxy: Proxy, verb: Callable[[RemoteObjects], object]) -> None:
    proxy.always = mute
    with pytest.raises((StorageError, OutcomeUnknownError)):
        verb(objects)


@pytest.mark.usefixtures("impatient")
def test_put_if_absent_without_a_reply_is_not_tried_again_behind_our_back(objects: RemoteObjects, proxy: Proxy) -> None:
    """Whether it landed is for the log to find out."""
    proxy.faults = [mute]
    with pytest.raises(OutcomeUnknownError):
        objects.put_if_absent("new", b"x")
    assert len(proxy.asked) == 1


@pytest.mark.parametrize("fault", [lost_reply, late_unavailable])
def test_put_if_absent_repeated_after_a_lost_reply_finds_its_own_object(objects: RemoteObjects, proxy: Proxy, fault: Fault) -> None:
    proxy.faults = [fault]
    assert objects.put_if_absent("new", b"x") is False
    assert objects.get("new") == b"x"


# The circuit breaker ------------------------------------------------------------------------------------------------


def cut(objects: RemoteObjects, proxy: Proxy) -> None:
    """Until the breaker opens."""
    proxy.always = lost_request
    for _ in range(breaker.FAILURES):
        with pytest.raises(StorageError):
            objects.get("there")
    proxy.asked.clear()


@verbs
def test_nothing_is_sent_while_the_circuit_is_open(objects: RemoteObjects, proxy: Proxy, verb: Callable[[RemoteObjects], object]) -> None:
    cut(objects, proxy)
    with pytest.raises(StorageUnavailableError, match="nothing was sent") as refused:
        verb(objects)
    assert proxy.asked == []
    assert 0 < refused.value.retry_after_s <= breaker.OPEN_S


@verbs
def test_storage_is_used_again_once_it_answers(
    objects: RemoteObjects, proxy: Proxy, seen: Measurements, monkeypatch: pytest.MonkeyPatch, verb: Callable[[RemoteObjects], object]
) -> None:
    monkeypatch.setattr(breaker, "OPEN_S", 0.0)
    cut(objects, proxy)
    proxy.always = None
    verb(objects)
    assert [measurement.state for measurement in seen if isinstance(measurement, Circuit)] == ["open", "half-open", "closed"]


@pytest.mark.parametrize("status", [301, 400, 403, 404, 409, 412])
def test_answers_never_open_the_circuit(objects: RemoteObjects, proxy: Proxy, seen: Measurements, status: int) -> None:
    proxy.always = echoing(status)
    for _ in range(breaker.FAILURES):
        for verb in VERBS.values():
            with suppress(StorageError):
                verb(objects)
    assert len(proxy.asked) >= breaker.FAILURES * len(VERBS)
    assert seen == []


@pytest.mark.parametrize("status", [408, 429, 500, 503])
def test_a_store_that_could_not_listen_opens_the_circuit(objects: RemoteObjects, proxy: Proxy, seen: Measurements, status: int) -> None:
    proxy.always = echoing(status)
    for _ in range(breaker.FAILURES):
        with pytest.raises(StorageError):
            objects.get("there")
    assert [measurement.state for measurement in seen if isinstance(measurement, Circuit)] == ["open"]


# Appends ------------------------------------------------------------------------------------------------------------


@pytest.fixture
def store(proxy: Proxy, s3_warehouse: str, seen: Measurements, monkeypatch: pytest.MonkeyPatch) -> DeltaEventStore:
    """Its circuit opens after two failures and is tried at once."""
    monkeypatch.setattr(connection, "RETRIES", 1)
    monkeypatch.setattr(breaker, "FAILURES", 2)
    store = open_store(s3_warehouse, create=True, observer=seen)
    store.append("first", [Event("Happened", {})])  # so that the next one begins with its puts, not with a look
    seen.clear()
    return store


def test_append_that_landed_before_the_circuit_opened_is_of_unknown_outcome(store: DeltaEventStore, proxy: Proxy, seen: Measurements) -> None:
    """Every reply to the put of its log file is lost; the circuit opens while it is asked after."""
    fact = Event("Happened", {})
    proxy.only, proxy.always = "PUT", None
    proxy.faults = [passed, *[late_unavailable] * 4]
    with pytest.raises(OutcomeUnknownError, match="append the same again"):
        store.append("a", [fact], 0)
    assert any(isinstance(measurement, Circuit) and measurement.state == "open" for measurement in seen)


def test_append_of_unknown_outcome_is_found_when_it_is_repeated(
    store: DeltaEventStore, proxy: Proxy, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(breaker, "OPEN_S", 0.0)
    fact = Event("Happened", {})
    proxy.only, proxy.always = "_delta_log", unavailable
    proxy.faults = [late_unavailable]
    monkeypatch.setattr("store.delta.log.SETTLE_S", 0.0)
    with pytest.raises(OutcomeUnknownError):
        store.append("a", [fact], 0)
    proxy.always = None
    assert store.append("a", [fact], 0) == (1, 1, 2, 2)
    assert store.head() == 2
    store.close()


def test_append_whose_commit_is_there_but_cannot_be_read_is_of_unknown_outcome(store: DeltaEventStore, proxy: Proxy) -> None:
    """The put landed without a reply, its repetition finds something there, and then storage fails: it may be ours."""
    fact = Event("Happened", {})
    proxy.only, proxy.faults = "_delta_log", [lost_reply, passed, lost_request, lost_request]
    with pytest.raises(OutcomeUnknownError):
        store.append("a", [fact], 0)
    assert store.append("a", [fact], 0) == (1, 1, 2, 2)
    assert store.head() == 2
    store.close()


def test_append_refused_by_an_open_circuit_wrote_nothing(store: DeltaEventStore, proxy: Proxy, monkeypatch: pytest.MonkeyPatch) -> None:
    proxy.always = unavailable
    for _ in range(2):
        with pytest.raises(StorageError):
            store.head()
    proxy.always = None
    proxy.asked.clear()
    with pytest.raises(StorageUnavailableError) as refused:
        store.append("a", [Event("Happened", {}, correlation_id="trace-7")], 0)
    assert refused.value.retry_after_s > 0
    assert "trace-7" in str(refused.value)
    assert proxy.asked == []


def test_operator_is_told_of_the_circuit_by_the_log(proxy: Proxy, s3_warehouse: str, caplog: pytest.LogCaptureFixture) -> None:
    with open_store(s3_warehouse, create=True) as store:
        proxy.always = lost_request
        for _ in range(breaker.FAILURES):
            with pytest.raises(StorageError):
                store.head()
    told = [record for record in caplog.records if record.name == "alluvium" and record.message.startswith("circuit")]
    assert [record.levelname for record in told] == ["WARNING"]
    assert f"place={s3_warehouse}/events state=open failures={breaker.FAILURES}" in told[0].message

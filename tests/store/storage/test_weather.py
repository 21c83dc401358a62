"""What the chaos does to requests is what it says: else a storm would prove nothing."""

from __future__ import annotations

import pytest

from store import Event, OutcomeUnknownError, StorageError, open_store
from store.observer import LoggingObserver
from store.storage import connection
from store.storage.remote_objects import RemoteObjects
from tests.store.storage.proxy import Proxy, lost_reply
from tests.store.storage.weather import FAULTS, Weather, late, twice


@pytest.fixture
def objects(proxy: Proxy, s3_warehouse: str, monkeypatch: pytest.MonkeyPatch) -> RemoteObjects:
    monkeypatch.setattr(connection, "REQUEST_TIMEOUT_S", 0.3)
    monkeypatch.setattr(connection, "RETRIES", 1)
    monkeypatch.setattr(connection, "FIRST_BACKOFF_S", 0.001)
    return RemoteObjects(s3_warehouse, LoggingObserver())


def weather(proxy: Proxy, seed: str = "any") -> Weather:
    proxy.always = weather = Weather(seed, late_s=0.1)
    return weather


def test_a_late_put_arrives_after_its_sender_gave_up(objects: RemoteObjects, proxy: Proxy) -> None:
    over = weather(proxy)
    over._fault = lambda: late(1.0)  # type: ignore[method-assign]
    with pytest.raises(OutcomeUnknownError):
        objects.put_if_absent("new", b"x")
    proxy.always = None
    assert objects.get("new") is None
    over.settle()
    assert objects.get("new") == b"x"


def test_of_a_conditional_put_that_is_carried_out_twice_the_second_reply_is_given(objects: RemoteObjects, proxy: Proxy) -> None:
    proxy.faults = [twice]
    assert objects.put_if_absent("new", b"x") is False
    assert objects.get("new") == b"x"


@pytest.mark.parametrize("silently", [False, True])
def test_one_client_is_cut_off_while_another_goes_on(
    objects: RemoteObjects, proxy: Proxy, s3_environment: str, s3_warehouse: str, monkeypatch: pytest.MonkeyPatch, silently: bool
) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", s3_environment)
    other = RemoteObjects(s3_warehouse, LoggingObserver())
    over = weather(proxy)
    over.cut(silently)
    with pytest.raises(StorageError):
        objects.get("there")
    other.put("there", b"x")
    over.mend()
    assert objects.get("there") == b"x"


def test_the_same_seed_brings_the_same_faults() -> None:
    def faults(seed: str) -> list[str]:
        weather = Weather(seed, late_s=1.0)
        weather.bad = 0.5
        return [weather._fault().__qualname__ for _ in range(50)]

    assert faults("a") == faults("a")
    assert faults("a") != faults("b")
    assert len(set(faults("a"))) > len(FAULTS)


def test_an_append_through_the_worst_of_weathers_is_there_once(proxy: Proxy, s3_warehouse: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connection, "FIRST_BACKOFF_S", 0.001)
    monkeypatch.setattr(connection, "MAX_BACKOFF_S", 0.01)
    with open_store(s3_warehouse, create=True) as store:
        proxy.faults = [twice, lost_reply, twice, lost_reply] * 3
        assert [store.append("a", [Event("Happened", {})], version).position for version in range(3)] == [1, 2, 3]
        assert store.read_stream("a")["position"].to_pylist() == [1, 2, 3]

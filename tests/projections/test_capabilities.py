"""Read models under the policies of docs/access.md: who may only read reads them, who may keep them does no more than that."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest

from projections import (
    DeadLetters,
    Park,
    ProjectionError,
    ServingModel,
    WarehouseSql,
    catch_up,
    follow,
    rebuild,
    statuses,
    streams,
)
from store import AccessDeniedError, open_store
from tests.projections.test_warehouse_sql import add, summing
from tests.store.storage.iam import Bucket
from tests.store.storage.proxy import Proxy


@pytest.fixture
def bucket(s3_environment: str, s3_bucket: str, s3_warehouse: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Bucket]:
    """A warehouse of six events, with read models of all of them."""
    proxy = Proxy(s3_environment)
    monkeypatch.setenv("AWS_ENDPOINT_URL", proxy.endpoint)
    bucket = Bucket.of(proxy, s3_bucket, s3_warehouse, monkeypatch)
    with open_store(s3_warehouse, create=True) as store:
        add(store, 6)
        for projection in (summing(), streams):
            catch_up(store, ServingModel(s3_warehouse, projection))
    yield bucket
    proxy.close()


def test_who_may_only_read_reads_read_models_and_asks_of_them(bucket: Bucket) -> None:
    with bucket.open("read-only") as store, WarehouseSql(store, bucket.uri, [summing()]) as warehouse:
        assert ServingModel(bucket.uri, summing()).now().row_count() == 2
        assert warehouse.sql("select sum(total)::int from totals, dead_letters").fetchall() == [(None,)]
        assert warehouse.sql("select sum(total)::int from totals").fetchall() == [(15,)]
        assert [status.state for status in statuses(store, bucket.uri, [summing()])] == ["up to date"]
        assert len(DeadLetters(bucket.uri).all()) == 0
    assert bucket.enforcer.refused("read-only") == []


def test_who_may_only_read_catches_no_read_model_up_but_aside(bucket: Bucket) -> None:
    with bucket.open("owner") as store:
        add(store, 2)
    with bucket.open("read-only") as store:
        with pytest.raises(AccessDeniedError):
            catch_up(store, ServingModel(bucket.uri, summing()))
        with WarehouseSql(store, bucket.uri, [summing()]) as warehouse:
            assert warehouse.sql("select sum(total)::int from totals").fetchall() == [(16,)]
    bucket.become("owner")
    assert ServingModel(bucket.uri, summing()).now().checkpoint() == 6


def test_a_follower_that_may_not_write_halts_and_says_so(bucket: Bucket) -> None:
    with bucket.open("owner") as store:
        add(store, 2)
    told = list[ProjectionError | AccessDeniedError]()
    with bucket.open("read-only") as store:
        follow(store, [ServingModel(bucket.uri, summing())], threading.Event(), lambda _, error: told.append(error))
    assert [type(error) for error in told] == [AccessDeniedError]


def test_who_keeps_read_models_catches_them_up_rebuilds_them_and_appends_nothing(bucket: Bucket) -> None:
    with bucket.open("owner") as store:
        add(store, 2)
    with bucket.open("projecting", upkeep=False) as store:
        model = ServingModel(bucket.uri, summing())
        catch_up(store, model, failing=Park(DeadLetters(bucket.uri)))
        assert model.now().checkpoint() == 8
        rebuild(store, bucket.uri, summing(version=2))
        assert bucket.enforcer.refused("projecting") == []
        with pytest.raises(AccessDeniedError):
            add(store, 1)
    with open_store(bucket.uri) as store:
        assert store.head() == 8

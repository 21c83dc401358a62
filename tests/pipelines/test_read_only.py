"""Dagster and the command line with credentials that may only read: all there is to see is seen, and what writes fails with words that say why."""

from __future__ import annotations

from collections.abc import Iterator

import dagster as dg
import pytest

from projections import ServingModel, catch_up
from store import open_store
from tests.pipelines.automation.test_lag_sensor import Daemon
from tests.pipelines.cli.conftest import Said
from tests.pipelines.ledger import BALANCES, deposit, domain, loaded
from tests.store.storage.iam import Bucket
from tests.store.storage.proxy import Proxy


@pytest.fixture
def bucket(s3_environment: str, s3_bucket: str, s3_warehouse: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Bucket]:
    """Twelve deposits, and their balances."""
    proxy = Proxy(s3_environment)
    monkeypatch.setenv("AWS_ENDPOINT_URL", proxy.endpoint)
    bucket = Bucket.of(proxy, s3_bucket, s3_warehouse, monkeypatch)
    deposit(s3_warehouse, range(12))
    with open_store(s3_warehouse) as store:
        for projection in domain.projections:
            catch_up(store, ServingModel(s3_warehouse, projection))
    bucket.become("read-only")
    yield bucket
    proxy.close()


def test_dagster_shows_the_warehouse_and_asks_for_runs(bucket: Bucket) -> None:
    assert loaded(bucket.uri).resolve_asset_graph().get_all_asset_keys()
    with dg.DagsterInstance.ephemeral() as instance:
        daemon = Daemon(bucket.uri, instance)
        assert daemon.tick(), "the read models of every warehouse were never made"
    assert bucket.enforcer.refused("read-only") == []


def test_a_run_that_writes_fails_and_loses_nothing(bucket: Bucket) -> None:
    bucket.become("owner")
    deposit(bucket.uri, range(2))
    bucket.become("read-only")
    with dg.DagsterInstance.ephemeral() as instance:
        assert not Daemon(bucket.uri, instance).run({BALANCES.name})
    bucket.become("owner")
    assert ServingModel(bucket.uri, BALANCES).now().checkpoint() == 12


def test_status_and_questions_need_no_more_than_to_read(bucket: Bucket, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    from pipelines.cli.app import main

    monkeypatch.setenv("ALLUVIUM_WAREHOUSE", bucket.uri)
    monkeypatch.setenv("ALLUVIUM_DOMAIN", "tests.pipelines.ledger:domain")

    def run(*words: str) -> Said:
        code = main(words)
        told = capsys.readouterr()
        return Said(code, told.out, told.err)

    assert run("status", "--json").code in (0, 3)
    assert run("sql", "select count(*) as n from events", "--json").facts == {"n": 12}
    assert run("projections", "list", "--json").code == 0
    assert bucket.enforcer.refused("read-only") == []
    said = run("append", "account-1", "Deposited", '{"amount": 1}')
    assert (said.code, "append-only capability" in said.err) == (1, True)

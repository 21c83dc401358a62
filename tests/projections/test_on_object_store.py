from __future__ import annotations

from collections.abc import Iterator

import boto3
import pytest

from projections import CheckpointMovedError, Projection, ReadModel, catch_up
from store import Event, MemoryEventStore
from tests.s3 import S3Server


@pytest.fixture
def bucket(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    server = S3Server()
    server.start()
    endpoint = server.endpoint
    for name, value in {
        "AWS_ENDPOINT_URL": endpoint,
        "AWS_ACCESS_KEY_ID": "k",
        "AWS_SECRET_ACCESS_KEY": "s",
        "AWS_REGION": "us-east-1",
    }.items():
        monkeypatch.setenv(name, value)
    boto3.client("s3", endpoint_url=endpoint, region_name="us-east-1").create_bucket(Bucket="warehouse")
    yield "s3://warehouse/w"
    server.stop()


def test_a_read_model_lives_in_a_bucket_as_in_a_directory(bucket: str, accounts: Projection, store: MemoryEventStore) -> None:
    model = ReadModel.under(bucket, accounts)
    assert (model.checkpoint(), len(model.rows())) == (0, 0)
    catch_up(store, model, batch_events=3)
    store.append("account-1", [Event("Deposited", {"amount": 1})])
    ours, theirs = model.turn(), model.turn()
    assert catch_up(store, model).rows == 1
    for late in (ours, theirs):
        with pytest.raises(CheckpointMovedError):
            late.commit(accounts.columns.empty_table(), store.head())
    assert sum(model.rows("changes")["changes"].to_pylist()) == 9
    assert model.checkpoint() == store.head()
    before = model.row_count()
    model.turn().commit(accounts.columns.empty_table(), store.head() + 1, deleted=model.rows("account", "day", limit=1))
    assert (model.row_count(), model.checkpoint()) == (before - 1, store.head() + 1)

from __future__ import annotations

import os
import uuid
from collections.abc import Iterator

import pytest
from hypothesis import settings

settings.register_profile("patient", settings.default, deadline=None)   # a busy machine is slow, and nothing is wrong with it
settings.load_profile("patient")


@pytest.fixture(scope="session")
def s3_endpoint() -> Iterator[str]:
    """An S3 of our own on a free loopback port."""
    from tests.s3 import S3Server

    server = S3Server()
    server.start()
    yield server.endpoint
    server.stop()


@pytest.fixture
def s3_environment(s3_endpoint: str, monkeypatch: pytest.MonkeyPatch) -> str:
    """What plain AWS tools need to reach it, and nothing else of AWS; the environment is restored afterwards."""
    for name in [name for name in os.environ if name.startswith("AWS_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_ENDPOINT_URL", s3_endpoint)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "testing")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "not-a-secret")
    monkeypatch.setenv("AWS_REGION", "us-east-1")
    return s3_endpoint


@pytest.fixture(scope="session")
def s3_bucket(s3_endpoint: str) -> str:
    """One for all tests: each has its own prefix."""
    import boto3

    keys = {"aws_access_key_id": "testing", "aws_secret_access_key": "not-a-secret"}
    boto3.client("s3", endpoint_url=s3_endpoint, region_name="us-east-1", **keys).create_bucket(Bucket="warehouses")
    return "warehouses"


@pytest.fixture
def s3_warehouse(s3_environment: str, s3_bucket: str) -> str:
    """A fresh prefix."""
    return f"s3://{s3_bucket}/{uuid.uuid4().hex}"

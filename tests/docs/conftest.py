from __future__ import annotations

import pytest


@pytest.fixture(scope="session")
def documented_buckets(s3_endpoint: str) -> None:
    """Those that the pages name."""
    import boto3

    keys = {"aws_access_key_id": "testing", "aws_secret_access_key": "not-a-secret"}
    client = boto3.client("s3", endpoint_url=s3_endpoint, region_name="us-east-1", **keys)
    for bucket in ("elsewhere", "safe", "acme"):
        client.create_bucket(Bucket=bucket)

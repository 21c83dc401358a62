from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.store.delta.proxy import Proxy


@pytest.fixture
def proxy(s3_environment: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Proxy]:
    """Whatever is opened in this test talks to S3 through it."""
    proxy = Proxy(s3_environment)
    monkeypatch.setenv("AWS_ENDPOINT_URL", proxy.endpoint)
    yield proxy
    proxy.close()

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from store import EventStore, MemoryEventStore, open_store
from tests.store.storage.proxy import Proxy


@pytest.fixture(params=["memory", "delta", "s3"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[EventStore]:
    """The contract holds for all."""
    match request.param:
        case "memory":
            opened: EventStore = MemoryEventStore()
        case "delta":
            opened = open_store(str(tmp_path / "warehouse"), create=True)
        case _:
            opened = open_store(request.getfixturevalue("s3_warehouse"), create=True)
    with opened as store:
        yield store


@pytest.fixture
def proxy(s3_environment: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Proxy]:
    """Whatever is opened in this test talks to S3 through it."""
    proxy = Proxy(s3_environment)
    monkeypatch.setenv("AWS_ENDPOINT_URL", proxy.endpoint)
    yield proxy
    proxy.close()

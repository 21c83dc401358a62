from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from store import EventStore, MemoryEventStore, open_store


@pytest.fixture(params=["memory", "delta"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[EventStore]:
    """The contract holds for both."""
    with MemoryEventStore() if request.param == "memory" else open_store(str(tmp_path / "warehouse"), create=True) as store:
        yield store

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from store import Logs, open_logs


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Logs]:
    """A warehouse that was split while it was empty."""
    with open_logs(tmp_path / "warehouse", create=True) as store:
        store.split("h", 4)
        yield store

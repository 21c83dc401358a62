from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from store import EventStore, Keys, KeyTable, MemoryEventStore, MemoryKeys, Privacy, open_logs, open_store
from tests.store.privacy.people import people

Open = Callable[[Privacy | None], EventStore]


@pytest.fixture(params=["memory", "table", "s3"])
def keys(request: pytest.FixtureRequest, tmp_path: Path) -> Keys:
    """The port holds for all."""
    match request.param:
        case "memory":
            return MemoryKeys()
        case "table":
            return KeyTable(tmp_path / "warehouse")
        case _:
            return KeyTable(request.getfixturevalue("s3_warehouse"))


@pytest.fixture(params=["memory", "delta", "s3", "logs"])
def private(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[EventStore]:
    """Stores of `people`, with keys."""
    uri = tmp_path / "warehouse"
    with ExitStack() as stack:
        match request.param:
            case "memory":
                opened: EventStore = MemoryEventStore(privacy=people.privacy(MemoryKeys()))
            case "delta":
                opened = open_store(uri, create=True, privacy=people.privacy(KeyTable(uri)))
            case "logs":
                opened = open_logs(uri, create=True, privacy=people.privacy(KeyTable(uri)))
            case _:
                s3 = request.getfixturevalue("s3_warehouse")
                opened = open_store(s3, create=True, privacy=people.privacy(KeyTable(s3)))
        yield stack.enter_context(opened)

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.store.delta.victims import Victims, lived_in, memory


@pytest.fixture(scope="module")
def victims() -> Iterator[Victims]:
    with Victims() as victims:
        yield victims


@pytest.fixture(scope="module")
def template() -> Iterator[Path]:
    with memory() as folder:
        yield lived_in(folder / "warehouse")


@pytest.fixture
def folder() -> Iterator[Path]:
    with memory() as folder:
        yield folder

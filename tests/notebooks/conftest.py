from __future__ import annotations

import os
from collections.abc import Callable
from functools import cache
from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient

from tests.notebooks.page import Page
from tests.notebooks.stripped import NOTEBOOKS


@pytest.fixture(scope="session")
def warehouse(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Empty at first: the notebook that needs it first loads the year, as it promises."""
    return tmp_path_factory.mktemp("notebooks") / "warehouse"


@pytest.fixture(scope="session")
def run(warehouse: Path) -> Callable[[str], Page]:
    """A notebook by its name, from top to bottom, in a kernel of its own; each is run once."""
    home = warehouse.parent
    environment = {**os.environ, "ALLUVIUM_WAREHOUSE": str(warehouse), "IPYTHONDIR": str(home / "ipython"), "HOME": str(home)}

    @cache
    def page(name: str) -> Page:
        [path] = [path for path in NOTEBOOKS if path.stem == name]
        notebook = nbformat.read(path, as_version=4)
        client = NotebookClient(notebook, timeout=240, allow_errors=True, resources={"metadata": {"path": str(path.parent)}})
        client.execute(env=environment)
        return Page(notebook)

    return page

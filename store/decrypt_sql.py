"""The function `decrypt(text)` in SQL: the text with its tokens of personal data opened, or redacted where the keys are not at hand."""

from __future__ import annotations

from collections.abc import Callable
from importlib.util import find_spec
from typing import Any, Final

import duckdb

from store.errors import InvalidEventError

Decrypts = Callable[[Any], Any]
"""A column of strings -> the same column, opened."""

NAME: Final = "decrypt"
_INSTALL: Final = "install it: pip install 'alluvium[privacy]'; or open the answer by store.privacy.decrypt"


def add_decrypt(database: duckdb.DuckDBPyConnection, decrypts: Decrypts) -> None:
    """Let all connections of this DuckDB know it. InvalidEventError: what DuckDB needs for functions of Python is not installed."""
    if find_spec("numpy") is None:
        raise InvalidEventError("query", NAME, "is a function in Python, for which DuckDB needs numpy", _INSTALL)
    database.create_function(NAME, decrypts, ["VARCHAR"], "VARCHAR", type="arrow", side_effects=True)

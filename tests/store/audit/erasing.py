"""Erasing one stream's events, for the tests of what becomes of the proof."""

from __future__ import annotations

from typing import Any
from uuid import uuid4

from store import Erasure, open_store
from tests.store.delta.test_rewriting import Emptying


def erase(warehouse: str, stream_id: str, **what: Any) -> str:
    """Its id."""
    with open_store(warehouse) as store:
        return store.erase(Erasure(streams=[stream_id], **what), by="ada", why="asked for by letter").erasure_id


def erase_secretly(warehouse: str, stream_id: str) -> str:
    """By one who knows how the store does it, and leaves no deed."""
    with open_store(warehouse) as store:
        what = Emptying(stream_id, store.head(), str(uuid4()))
        store.events.rewrite(what)  # type: ignore[union-attr]
        return what.rewrite_id

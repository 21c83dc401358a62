"""Opening a warehouse."""

from __future__ import annotations

from store.observer import Observer


def open_store(uri: str, create: bool = False, observer: Observer | None = None):
    raise NotImplementedError

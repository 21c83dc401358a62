"""Saying who did something to a warehouse from outside of any store that is open."""

from __future__ import annotations

from store.deeds import Deed, record
from store.errors import StoreError
from store.open import open_store


def unrecorded(warehouse_uri: str, deed: Deed) -> str | None:
    """Record what was done. Why that was not possible; None: it was. What is done is done, so nothing is raised."""
    try:
        with open_store(warehouse_uri) as store:
            record(store, deed)
    except StoreError as error:
        return str(error)
    return None

"""A domain with personal data, and a service of keys that it could be given."""

from __future__ import annotations

from pipelines.domain import Domain
from store import Keys, MemoryKeys
from tests.store.privacy.people import customers, people

domain = Domain(name="people", projections=(), event_types=people, aggregates=(customers,))
_kept: dict[str, MemoryKeys] = {}


def keys(warehouse: str) -> Keys:
    """One for each warehouse, for as long as the process lives."""
    return _kept.setdefault(warehouse, MemoryKeys())

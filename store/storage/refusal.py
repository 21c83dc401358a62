"""Storage that says no to who asks: which capability would have been needed, told as an error of its own."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from store.errors import AccessDeniedError

NEEDED: Final[Mapping[str, str]] = {
    "read": "read-only", "list": "read-only", "sync": "read-only",
    "make": "append-only", "write": "append-only", "create": "append-only",
    "replace": "maintenance", "delete": "maintenance",
}  # fmt: skip
"""The least of the capabilities that can do it, at the log of events; see docs/access.md."""


def refused(doing: str, place: str, why: str | None) -> AccessDeniedError:
    """`doing`: a verb of NEEDED."""
    return AccessDeniedError(doing, place, NEEDED[doing], why or "permission denied")

"""An append condition: what must not have happened since its caller looked."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

from store.errors import InvalidEventError
from store.query import Query


class Match(NamedTuple):
    """An event that a query finds."""

    position: int
    stream_id: str
    type: str


@dataclass(frozen=True, slots=True)
class Condition:
    """No event past `after` matches `query`.

    `looked`: up to this position the log has been searched already, and `found` is the first match, if there was one.
    """

    query: Query
    after: int
    looked: int
    found: Match | None = None


def check_condition(fail_if: Query | None, after: int, head: int) -> None:
    """InvalidEventError: `after` has no query, or is a position that nobody can have seen."""
    if not isinstance(after, int) or isinstance(after, bool) or not 0 <= after <= head:
        raise InvalidEventError("after", after, f"is no position that was seen (the head is {head:,})", "give the position up to which you have read")
    if fail_if is None:
        if after:
            raise InvalidEventError("after", after, "belongs to no condition", "give fail_if=Query(...) with it")
    elif not isinstance(fail_if, Query):
        raise InvalidEventError("fail_if", fail_if, "is no Query", "give Query(types=[...], tags=[...])")

"""A check: a name, what holds if it passes, and a look at the warehouse that gives a verdict."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import dagster as dg

from store import EventStore

SHOWN_ROWS: Final = 10
"""Of those that fail; all are counted."""


@dataclass(frozen=True, slots=True)
class Look:
    """What a check is given. `most`: about so many events or rows it may look at; None: all.

    `last`: the metadata of its last verdict, by name; empty before the first.
    """

    store: EventStore
    warehouse: str
    most: int | None
    last: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """`problem`: what is wrong; empty if nothing is. `rows`: the first that fail; `failing`: how many do. `told`: metadata in any case."""

    problem: str = ""
    rows: Sequence[Mapping[str, Any]] = ()
    failing: int = 0
    severity: dg.AssetCheckSeverity = dg.AssetCheckSeverity.ERROR
    told: Mapping[str, Any] = field(default_factory=dict)


def counted(number: int, noun: str) -> str:
    """As people say it: 1 event, 2,000 events."""
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """`holds`: what is true if it passes. `blocking`: in one run, nothing downstream of the asset is made after it failed."""

    name: str
    holds: str
    look: Callable[[Look], Verdict]
    blocking: bool = False

"""A small aggregate for the tests: an account that may not be overdrawn."""

from __future__ import annotations

from collections.abc import Callable
from typing import assert_never

import msgspec

from store import Aggregate, EventType, EventTypes, Upcast


class Opened(msgspec.Struct, frozen=True):
    owner: str


class Deposited(msgspec.Struct, frozen=True):
    cents: int


class Withdrawn(msgspec.Struct, frozen=True):
    cents: int


Happened = Opened | Deposited | Withdrawn


class Account(msgspec.Struct, frozen=True):
    owner: str | None = None
    cents: int = 0
    events: int = 0


class OverdrawnError(Exception):
    pass


def evolve(account: Account, event: Happened) -> Account:
    events = account.events + 1
    match event:
        case Opened(owner):
            return Account(owner, account.cents, events)
        case Deposited(cents):
            return Account(account.owner, account.cents + cents, events)
        case Withdrawn(cents):
            return Account(account.owner, account.cents - cents, events)
    assert_never(event)


def deposit(cents: int) -> Callable[[Account], Deposited]:
    return lambda account: Deposited(cents)


def withdraw(cents: int) -> Callable[[Account], list[Withdrawn]]:
    def decide(account: Account) -> list[Withdrawn]:
        if cents > account.cents:
            raise OverdrawnError(f"{cents} of {account.cents}")
        return [Withdrawn(cents)]

    return decide


types = EventTypes(
    EventType("Opened", Opened),
    EventType("Deposited", Deposited, schema_version=2),
    EventType("Withdrawn", Withdrawn),
    steps=[Upcast("Deposited", 1, lambda data: {"cents": round(data["amount"] * 100)})],
)

account = Aggregate(category="account", initial=Account(), evolve=evolve, types=types)

"""Customers whom events tell of, and their data as it must not be found anywhere."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass, replace

import msgspec

from store import Aggregate, EventType, EventTypes, Personal, SnapshotPolicy

BORN = dt.date(1815, 12, 10)
SECRETS = ("Ada Lovelace", "St James's Square", "1815-12-10")
"""What events of `registered()` hold that is personal."""


class Address(msgspec.Struct, frozen=True):
    street: str
    city: str


class Registered(msgspec.Struct, frozen=True):
    customer: str
    name: str
    born: dt.date | None = None
    address: Address | None = None
    plan: str = "free"


class Renamed(msgspec.Struct, frozen=True):
    name: str


class Upgraded(msgspec.Struct, frozen=True):
    plan: str


personal = Personal({"name": "[forgotten]", "born": None, "address.street": "[redacted]"}, subject="customer")
people = EventTypes(
    EventType("Registered", Registered, personal=personal),
    EventType("Renamed", Renamed, personal=Personal(["name"])),
    EventType("Upgraded", Upgraded),
)


def registered(customer: str = "7", name: str = "Ada Lovelace") -> Registered:
    return Registered(customer, name, BORN, Address("St James's Square", "London"), "pro")


@dataclass(frozen=True)
class Customer:
    name: str = ""
    born: dt.date | None = None
    plan: str = ""
    names: tuple[str, ...] = ()


def evolve(customer: Customer, event: object) -> Customer:
    match event:
        case Registered(name=name, born=born, plan=plan):
            return Customer(name, born, plan, (*customer.names, name))
        case Renamed(name):
            return Customer(name, customer.born, customer.plan, (*customer.names, name))
        case Upgraded(plan):
            return Customer(customer.name, customer.born, plan, customer.names)
    return customer


customers = Aggregate(category="customer", initial=Customer(), evolve=evolve, types=people)
saved_customers = replace(customers, snapshots=SnapshotPolicy(every_events=2, slow_load_ms=None), name="saved")

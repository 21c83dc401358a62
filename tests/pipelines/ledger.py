"""A domain of a user's: deposits on accounts, in three read models of which one can fail."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import dagster as dg
import msgspec
import pyarrow as pa

from pipelines.definitions import definitions
from pipelines.domain import Domain
from pipelines.settings import Settings
from projections import Handlers, Place, Projection, Sql
from store import Aggregate, Event, EventType, EventTypes, SnapshotPolicy, open_store


class Deposited(msgspec.Struct, frozen=True):
    amount: int
    owner: str = "Ada"


def put(row: dict[str, Any] | None, event: Deposited, place: Place) -> dict[str, Any]:
    if event.amount == 666:
        raise ValueError("a cursed amount")
    return {"owner": event.owner, "total": event.amount + (row["total"] if row else 0)}


def owner(event: Deposited, place: Place) -> str:
    return event.owner


def added(total: int, event: Any) -> int:
    return total + event.amount


TYPES = EventTypes(EventType("Deposited", Deposited))
BALANCES = Projection(
    name="balances",
    version=1,
    by_stream=True,
    key=("account",),
    columns=pa.schema({"account": pa.string(), "total": pa.int64()}),
    form=Sql("select stream_id as account, (data ->> 'amount')::bigint as total from events", {"total": "sum"}),
)
OWNERS = Projection(
    name="owners",
    version=1,
    key=("owner",),
    columns=pa.schema({"owner": pa.string(), "total": pa.int64()}),
    event_types=TYPES,
    form=Handlers(on={Deposited: put}, key=owner),
)
ACCOUNT = Aggregate(category="account", initial=0, evolve=added, types=TYPES, snapshots=SnapshotPolicy(every_events=3))
domain = Domain(name="ledger", projections=(BALANCES, OWNERS), event_types=TYPES, aggregates=(ACCOUNT,))

NAMES = {"balances", "owners", "streams", "event_types"}


def deposit(warehouse: str | Path, amounts: Iterable[int]) -> int:
    """Each on one of ten accounts; the head."""
    with open_store(warehouse, create=True) as store:
        for amount in amounts:
            store.append(f"account-{amount % 10}", [Event("Deposited", {"amount": amount, "owner": f"owner {amount % 3}"})])
        return store.head()


def loaded(warehouse: str | Path, **more: str) -> dg.Definitions:
    """As Dagster loads them."""
    given = {f"ALLUVIUM_{name.upper()}": value for name, value in more.items()}
    return definitions(Settings.read({"ALLUVIUM_WAREHOUSE": str(warehouse), "ALLUVIUM_DOMAIN": "tests.pipelines.ledger:domain", **given}))

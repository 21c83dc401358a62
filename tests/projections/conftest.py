from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pytest

from projections import Projection, ReadModel, Sql
from store import Event, MemoryEventStore


@pytest.fixture(scope="session")
def accounts() -> Projection:
    """Uses every way to combine."""
    return Projection(
        name="accounts",
        version=1,
        key=("account", "day"),
        types=("Deposited", "Withdrawn"),
        columns=pa.schema(
            {
                "account": pa.string(),
                "day": pa.date32(),
                "changes": pa.int64(),
                "balance": pa.int64(),
                "smallest": pa.int64(),
                "largest": pa.decimal128(12, 2),
                "opened_by": pa.string(),
                "last_type": pa.string(),
                "note": pa.string(),
            }
        ),
        form=Sql(
            select="""
                select stream_id as account, occurred_at::date as day, 1 as changes, position,
                       (data ->> 'amount')::bigint * if(type = 'Deposited', 1, -1) as balance,
                       (data ->> 'amount')::bigint as smallest, smallest as largest,
                       type as opened_by, type as last_type, data ->> 'note' as note
                from events
            """,
            combine={
                "changes": "count",
                "balance": "sum",
                "smallest": "min",
                "largest": "max",
                "opened_by": "first",
                "last_type": "last",
                "note": "last",
            },
        ),
    )


@pytest.fixture
def model(tmp_path: Path, accounts: Projection) -> ReadModel:
    return ReadModel.under(str(tmp_path), accounts)


@pytest.fixture
def store() -> MemoryEventStore:
    """Eight changes of two accounts, and an event that no projection here reads."""
    store = MemoryEventStore()
    for n in range(8):
        store.append(f"account-{n % 2}", [Event("Deposited" if n % 3 else "Withdrawn", {"amount": n, "note": f"n{n}"})])
    store.append("account-0", [Event("Renamed", {})])
    return store

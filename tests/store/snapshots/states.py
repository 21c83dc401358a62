"""Snapshots for the tests."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from typing import Any

import pyarrow as pa

from store import Snapshot
from store.snapshots.snapshot import table_of


def snap(version: int = 1, stream_id: str = "a-1", **fields: Any) -> Snapshot:
    """A snapshot whose state tells which it is."""
    given: dict[str, Any] = {"aggregate": "Account", "position": version * 10, "event_id": str(uuid.UUID(int=version))}
    given |= {"schema_version": 1, "keep": 3, "taken_at": 1_000_000 + version, "state": f'{{"v":{version}}}'}
    return Snapshot(stream_id=stream_id, version=version, **(given | fields))


def versions(snapshots: Sequence[Snapshot]) -> list[int]:
    return [snapshot.version for snapshot in snapshots]


def many(streams: int, version: int = 1, state_bytes: int = 40, **fields: Any) -> pa.Table:
    """One snapshot of each of very many streams."""
    return table_of([snap(version, f"m-{number}", state='{"x":"' + "y" * state_bytes + f'{number}"}}', **fields) for number in range(streams)])

"""Checkpoints: the state of the log at one version as a Parquet file, so that opening does not read every commit.

Written by ourselves, from the state in memory: deltalake would read the log again, keep every file that was replaced
within the hour (*measured*: tens of megabytes under steady traffic), and sync nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from store.delta.actions import Retired, Segment, add_of, remove_of, retired_of, segment_of
from store.delta.commits import CLOCK
from store.delta.table import NotOursError, Table, check_protocol, table_of
from store.storage.objects import Objects
from store.tables import checkpoint_file
from store.tables.checkpoint_file import hinted as hinted
from store.tables.checkpoint_file import path_of as path_of
from store.tables.checkpoint_file import versions as versions
from store.tables.shape import understood


class State(NamedTuple):
    """What a checkpoint says. `recorded_ms`: no later event is recorded before it."""

    version: int
    head: int
    recorded_ms: int
    table: Table
    segments: Sequence[Segment]
    retired: Sequence[Retired]


def write(objects: Objects, state: State) -> int:
    """Write the checkpoint of a commit that is there; its size in bytes. Durable before the hint points to it.

    The folder of the log is synced with it, so after this every commit up to its version is durable, whoever made it.
    """
    lines = [
        {"protocol": state.table.protocol()},
        {"metaData": state.table.metadata()},
        {"txn": {"appId": "log", "version": state.head, "lastUpdated": state.recorded_ms}},
        *({"remove": remove_of(retired)} for retired in state.retired),
        *({"add": add_of(segment, data_change=False)} for segment in state.segments),
    ]
    return checkpoint_file.write(objects, state.version, lines, len(state.segments))


def read(objects: Objects) -> State | None:
    """The newest readable checkpoint; None if there is none, so that the log is read from commit 0."""
    return checkpoint_file.newest(objects, lambda version: read_version(objects, version))


def read_version(objects: Objects, version: int) -> State | None:
    """The checkpoint of this version; None for no such one, or a torn one. NotOursError: another writer's."""
    told = checkpoint_file.read(objects, version)
    if told is None:
        return None
    with understood(f"checkpoint {version}"):
        protocols, metadata = told["protocol"], told["metaData"]
        heads = [txn for txn in told["txn"] if txn["appId"] == "log"]
        clocks = [-(-txn["version"] // 1000) for txn in told["txn"] if txn["appId"] == CLOCK]
        if not len(protocols) == len(metadata) == len(heads) == 1:
            raise NotOursError(f"checkpoint {version} does not say what the table is and where the log ends")
        check_protocol(protocols[0])
        return State(
            version,
            heads[0]["version"],
            max(heads[0]["lastUpdated"] or 0, *clocks, 0),
            table_of(metadata[0]),
            [segment_of(add) for add in told["add"]],
            [retired_of(remove) for remove in told["remove"]],
        )

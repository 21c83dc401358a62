"""Opening a warehouse."""

from __future__ import annotations

from os import PathLike, fspath
from typing import Final

import pyarrow as pa
import pyarrow.parquet as pq
from deltalake import DeltaTable
from deltalake.exceptions import DeltaError
from tenacity import Retrying, retry_if_exception, stop_after_attempt, wait_random_exponential

from store.contract import Contract
from store.delta.delta_store import DeltaEventStore
from store.delta.log import create as create_log
from store.errors import StorageError
from store.intake import Intake
from store.logs.logs import Logs
from store.observer import Guarded, LoggingObserver, Observer
from store.privacy.privacy import Privacy
from store.storage.places import join, objects_at
from store.storage.reason import reason
from store.times import Clock, now

_LOOKS: Final = 8


def open_store(
    uri: str | PathLike[str],
    create: bool = False,
    observer: Observer | None = None,
    *,
    clock: Clock = now,
    contract: Contract | None = None,
    privacy: Privacy | None = None,
    upkeep: bool = True,
) -> DeltaEventStore | Logs:
    """The event store of the warehouse at a path or an object-store URI (s3://, gs://, az://). Close it after use.

    `create`: make the tables if they are not there. `observer`: told what the store does; a logger when not given. What it raises is logged once.
    `contract`: what appended events must keep besides the store's own rules, such as `EventTypes.contract()`.
    `privacy`: what is personal in events, and the keys to seal it by, such as `EventTypes.privacy(KeyTable(uri))`. Without it events with
    personal fields are refused, and what is personal in the log reads as redacted.
    `clock`: the time in microseconds since 1970 UTC. Credentials come from the environment alone.
    `upkeep`: merge, checkpoint, clean and vacuum by itself as commits pile up; without it, leave that to another process, which must do it:
    for who may only append (docs/access.md). Who is refused it by storage leaves it by itself, after a warning.

    Where the warehouse was split, its `Logs`.

    TableRefusedError: there is no log, or one that is torn, foreign, or changed by another writer. AccessDeniedError: these credentials may not
    read it, or not create it. InvalidEventError: `contract` or `privacy` is none.
    """
    intake = Intake(contract, privacy)
    guarded = Guarded(LoggingObserver() if observer is None else observer)
    objects = objects_at(join(fspath(uri), "events"), guarded)
    if create:
        create_log(objects, clock() // 1000)
    store = DeltaEventStore(objects, guarded, clock, intake, upkeep=upkeep)
    if not store.sealed:
        return store
    store.close()
    return Logs(fspath(uri), guarded, clock, intake, upkeep=upkeep)


def open_logs(
    uri: str | PathLike[str],
    create: bool = False,
    observer: Observer | None = None,
    *,
    clock: Clock = now,
    contract: Contract | None = None,
    privacy: Privacy | None = None,
    upkeep: bool = True,
) -> Logs:
    """The same for a warehouse that was split, or shall be while it is open: `Logs` go on in what a log is split into. See `open_store`."""
    intake = Intake(contract, privacy)
    guarded = Guarded(LoggingObserver() if observer is None else observer)
    if create:
        create_log(objects_at(join(fspath(uri), "events"), guarded), clock() // 1000)
    return Logs(fspath(uri), guarded, clock, intake, upkeep=upkeep)


def storage_options(uri: str) -> dict[str, str]:
    """What deltalake must be told to open another table of a warehouse there, with the store's timeouts and retries; nothing for a directory.

    No credentials: deltalake too reads them from the environment.
    """
    return dict(objects_at(uri).storage_options())


def delta_table(uri: str, version: int | None = None) -> DeltaTable:
    """A Delta table as deltalake reads it, whoever writes it and whatever its columns: the newest version, or that one.

    StorageError: the log misses a commit, storage refuses, or that version is not kept any more.

    It lists the log while others commit, and a list of files that is read while it grows may hold commit N + 1 and not N. Then it looks again.
    """
    looks = Retrying(stop=stop_after_attempt(_LOOKS), wait=wait_random_exponential(0.005, 0.2), retry=retry_if_exception(_has_gap), reraise=True)
    try:
        return looks(DeltaTable, uri, version, storage_options=storage_options(uri))
    except (DeltaError, OSError) as error:
        raise StorageError(f"{uri}: {reason(error)}") from error


def delta_rows(uri: str, table: DeltaTable) -> pa.Table:
    """The rows of one version of a table of ours without partitions, as they are on disk, in no particular order: by its list of files.

    Other readers come to them in other ways, some of which mistake a place with a space in its name. StorageError: a file is not there any more.
    """
    objects, paths = objects_at(uri), pa.table(table.get_add_actions(flatten=True))["path"].to_pylist()
    parts = []
    for path in paths:
        if (contents := objects.get(path)) is None:
            raise StorageError(f"{uri}: the file {path} is not there any more")
        parts.append(pq.read_table(pa.BufferReader(contents)))
    return pa.concat_tables([pa.schema(table.schema().to_arrow()).empty_table(), *parts])


def _has_gap(error: BaseException) -> bool:
    return isinstance(error, DeltaError) and "found gap" in str(error)

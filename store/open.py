"""Opening a warehouse."""

from __future__ import annotations

from os import PathLike, fspath

from store.contract import Contract, check_contract
from store.delta.delta_store import DeltaEventStore
from store.delta.log import create as create_log
from store.observer import Guarded, LoggingObserver, Observer
from store.storage.places import join, objects_at
from store.times import Clock, now


def open_store(
    uri: str | PathLike[str], create: bool = False, observer: Observer | None = None, *, clock: Clock = now, contract: Contract | None = None
) -> DeltaEventStore:
    """The event store of the warehouse at a path or an object-store URI (s3://, gs://, az://). Close it after use.

    `create`: make the tables if they are not there. `observer`: told what the store does; a logger when not given. What it raises is logged once.
    `contract`: what appended events must keep besides the store's own rules, such as `EventTypes.contract()`.
    `clock`: the time in microseconds since 1970 UTC. Credentials come from the environment alone.

    TableRefusedError: there is no log, or one that is torn, foreign, or changed by another writer. InvalidEventError: `contract` is none.
    """
    check_contract(contract)
    guarded = Guarded(LoggingObserver() if observer is None else observer)
    objects = objects_at(join(fspath(uri), "events"), guarded)
    if create:
        create_log(objects, clock() // 1000)
    return DeltaEventStore(objects, guarded, clock, contract)


def storage_options(uri: str) -> dict[str, str]:
    """What deltalake must be told to open another table of a warehouse there, with the store's timeouts and retries; nothing for a directory.

    No credentials: deltalake too reads them from the environment.
    """
    return dict(objects_at(uri).storage_options())

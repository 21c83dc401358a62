"""A deciding process of the tests: `python -m tests.store.deciding.decider WAREHOUSE THREADS DECISIONS`. Prints how each decision went."""

from __future__ import annotations

import sys
from concurrent.futures import ThreadPoolExecutor

import orjson

from store import EventStore, open_store, transact
from tests.store.deciding.account import OverdrawnError, account, withdraw


def withdraw_once(store: EventStore) -> int:
    """The attempts that a withdrawal took; 0 for one that was refused."""
    try:
        return transact(store, account, "1", withdraw(1), patience_s=60).attempts
    except OverdrawnError:
        return 0


def main(warehouse: str, threads: str, decisions: str) -> None:
    with open_store(warehouse) as store, ThreadPoolExecutor(int(threads)) as pool:
        print("ready", flush=True)
        sys.stdin.readline()
        attempts = list(pool.map(lambda _: withdraw_once(store), range(int(decisions))))
    print(orjson.dumps(attempts).decode(), flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])

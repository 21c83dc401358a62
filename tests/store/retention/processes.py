"""Processes of the tests: `python -m tests.store.retention.processes append|remove WAREHOUSE`."""

from __future__ import annotations

import os
import sys

from store import StreamEndedError, open_store
from tests.store.facts import fact

STREAM = "a-1"


def tell(what: object) -> None:
    os.write(1, f"{what}\n".encode())          # one write: a kill leaves whole lines


def append(warehouse: str) -> None:
    """To one stream until it has ended; each version that was acknowledged."""
    with open_store(warehouse) as store:
        while True:
            try:
                version = store.append(STREAM, [fact()]).version
            except StreamEndedError:
                return
            tell(version)


def remove(warehouse: str) -> None:
    with open_store(warehouse) as store:
        tell("begin")
        store.retention.remove(by="ada", why="a test")


if __name__ == "__main__":
    {"append": append, "remove": remove}[sys.argv[1]](sys.argv[2])

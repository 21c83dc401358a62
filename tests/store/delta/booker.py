"""A booking process of the tests: `python -m tests.store.delta.booker WAREHOUSE NUMBER`. Prints how many of ten seats it got, and its conflicts."""

from __future__ import annotations

import sys

from store import ConditionFailedError, Event, EventStore, Query, open_store

SEATS = 10
BOOKED = Query(["Booked"], ["flight:1"])


def book(store: EventStore, name: str) -> tuple[int, int]:
    """Until none is left."""
    won = lost = 0
    while True:
        position = store.head()
        if store.read_all(until=position, query=BOOKED).read_all().num_rows == SEATS:
            return won, lost
        try:
            store.append(name, [Event("Booked", {}, tags=["flight:1"])], fail_if=BOOKED, after=position)
            won += 1
        except ConditionFailedError:
            lost += 1


def main(warehouse: str, number: str) -> None:
    with open_store(warehouse) as store:
        print("ready", flush=True)
        sys.stdin.readline()
        print(*book(store, f"booker-{number}"), flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])

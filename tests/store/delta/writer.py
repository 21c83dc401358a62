"""A process that appends to a warehouse and says on stdout, as JSON lines, what was acknowledged.

    writer.py <warehouse> <number> <appends>      -1 appends: compact and checkpoint until the file `stop` is there
"""

from __future__ import annotations

import json
import sys
import uuid
from pathlib import Path

from store import Event, WrongExpectedVersionError, open_store
from store.delta.delta_store import DeltaEventStore

BATCH = 3


def batch(writer: int, number: int) -> list[Event]:
    """The events of one append; always the same ids, so that it can be repeated."""
    ids = [uuid.uuid5(uuid.NAMESPACE_OID, f"{writer}/{number}/{i}") for i in range(BATCH)]
    return [Event("Written", {"writer": writer, "number": number}, event_id=event_id) for event_id in ids]


def stream_of(writer: int, number: int) -> str:
    """Every second append goes to a stream that all writers share."""
    return f"own-{writer}" if number % 2 else f"shared-{number % 5}"


def write(store: DeltaEventStore, writer: int, number: int) -> None:
    stream_id, events = stream_of(writer, number), batch(writer, number)
    while True:
        try:
            done = store.append(stream_id, events, store.stream_version(stream_id))
        except WrongExpectedVersionError:
            if stream_id.startswith("own"):        # nobody else appends here: a refusal would be a lie
                raise
            continue
        sys.stdout.write(json.dumps([number, *done]) + "\n")
        sys.stdout.flush()
        return


def main(warehouse: str, writer: int, appends: int) -> None:
    with open_store(warehouse) as store:
        if appends < 0:
            while not (Path(warehouse) / "stop").exists():
                store.compact()
                store.checkpoint()
        for number in range(appends):
            write(store, writer, number)


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]))

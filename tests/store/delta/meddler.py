"""Who gets in the way of an erasure: `python -m tests.store.delta.meddler WAREHOUSE STOP WORK SEED`, until the file STOP is there."""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path

import orjson

from store import Event, open_store

PAUSES_S = {"append": 0.02, "compact": 0.1, "vacuum": 0.5}
"""Many races, but not for the processor: each vacuum makes whoever rewrites files begin anew."""


def main(warehouse: str, stop: str, work: str, seed: str) -> None:
    begun, number = False, 0
    with open_store(warehouse) as store:
        while not Path(stop).exists():
            number += 1
            match work:
                case "append":
                    events = [Event("Happened", {"by": seed, "number": number}) for _ in range(3)]
                    store.append(f"s-{number % 10}", events)
                    os.write(1, orjson.dumps([str(event.event_id) for event in events]) + b"\n")
                case "compact":
                    store.compact()
                case "vacuum":
                    store.vacuum(0)
            if not begun and work != "append":
                os.write(1, b"[]\n")
            begun = True
            time.sleep(PAUSES_S[work])


if __name__ == "__main__":
    main(*sys.argv[1:])

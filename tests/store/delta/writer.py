"""A writer process of the tests: `python -m tests.store.delta.writer WORK WAREHOUSE ...`. Prints its acknowledgements, one JSON line each."""

from __future__ import annotations

import os
import random
import sys
import uuid
from pathlib import Path
from threading import Thread
from typing import Any

import orjson

from store import ANY, Appended, Event, ExpectedVersion, WrongExpectedVersionError, open_store

EVENTS = 3
"""Of each append."""
SHARED = [f"shared-{number}" for number in range(5)]


def batch(seed: int, number: int) -> list[Event]:
    """The events of a writer's n-th append; anybody can make them again, with the same ids."""
    ids = [str(uuid.uuid5(uuid.NAMESPACE_OID, f"{seed}/{number}/{part}")) for part in range(EVENTS)]
    return [Event("Happened", {"seed": seed, "number": number}, event_id=event_id) for event_id in ids]


def place(seed: int, number: int) -> tuple[str, ExpectedVersion]:
    """Where it goes: to the writer's own stream at an exact version and to a shared one, in turns."""
    if number % 2:
        return SHARED[(seed + number) % 5], ANY
    return f"own-{seed}", EVENTS * (number // 2)


def tell(**ack: Any) -> None:
    os.write(1, orjson.dumps(ack) + b"\n")         # one write: a kill leaves whole lines


def acknowledged(seed: int, number: int, stream_id: str, answer: Appended) -> None:
    tell(seed=seed, number=number, stream_id=stream_id, answer=list(answer))


def contend(warehouse: str, seed: str, appends: str) -> None:
    """Appends at exact versions to shared streams and, every fourth time, to one's own."""
    choice = random.Random(seed)
    with open_store(warehouse) as store:
        for number in range(int(appends)):
            stream_id = choice.choice(SHARED) if number % 4 else f"own-{seed}"
            while True:
                try:
                    answer = store.append(stream_id, batch(int(seed), number), store.stream_version(stream_id))
                    break
                except WrongExpectedVersionError:
                    continue
            acknowledged(int(seed), number, stream_id, answer)


def alone(warehouse: str, seed: str, appends: str) -> None:
    """Appends at exact versions to one's own stream; a conflict ends it."""
    with open_store(warehouse) as store:
        for number in range(int(appends)):
            answer = store.append(f"own-{seed}", batch(int(seed), number), EVENTS * number)
            acknowledged(int(seed), number, f"own-{seed}", answer)


def endless(warehouse: str, *seeds: str) -> None:
    """One thread a seed, each appending until the process is killed."""
    with open_store(warehouse) as store:

        def run(seed: int) -> None:
            number = 0
            while True:
                stream_id, expected = place(seed, number)
                acknowledged(seed, number, stream_id, store.append(stream_id, batch(seed, number), expected))
                number += 1

        threads = [Thread(target=run, args=(int(seed),)) for seed in seeds]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()


def busy(warehouse: str, seed: str, stop: str) -> None:
    """Single events, as fast as they go, until the file `stop` is there. Tells when the first one is in."""
    with open_store(warehouse) as store:
        store.append(f"own-{seed}", [Event("Happened", {})])
        tell(ready=True)
        while not Path(stop).exists():
            store.append(f"own-{seed}", [Event("Happened", {})])


def compact(warehouse: str, stop: str) -> None:
    """Compaction again and again, the last time after the file `stop` is there."""
    with open_store(warehouse) as store:
        merged, stopping = 0, False
        while not stopping:
            stopping = Path(stop).exists()
            merged += len(store.compact())
        tell(merged=merged)


if __name__ == "__main__":
    work, *arguments = sys.argv[1:]
    {"contend": contend, "alone": alone, "endless": endless, "busy": busy, "compact": compact}[work](*arguments)

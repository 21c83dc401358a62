"""A process that appends to its own streams through `Logs` until it has appended so many, and tells what it was answered, line by line."""

from __future__ import annotations

import json
import sys

from store import Event, OutcomeUnknownError, open_logs


def main(place: str, name: str, count: int) -> None:
    with open_logs(place) as store:
        print("ready", flush=True)
        for number in range(count):
            stream_id, event = f"a-{name}-{number % 7}", Event("Happened", {"number": number})
            while True:
                try:
                    appended = store.append(stream_id, [event], number // 7)
                    break
                except OutcomeUnknownError:
                    continue
            print(json.dumps([str(event.event_id), stream_id, appended.version]), flush=True)


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], int(sys.argv[3]))

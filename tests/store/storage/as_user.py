"""A process of another user, who may do with a directory what its permissions say: reads it, appends to it, and says how that went."""

from __future__ import annotations

import os
import sys

from store import AccessDeniedError, Erasure, Event, check_access, open_store


def main(uid: int, gid: int, place: str, verb: str) -> None:
    os.umask(0o002)
    os.setgroups([])
    os.setgid(gid)
    os.setuid(uid)
    try:
        match verb:
            case "read":
                with open_store(place) as store:
                    rows = store.sql("select count(*) from events").fetchall()[0][0]
                    print("read", store.head(), rows, len(store.read_stream("a")))
            case "append":
                with open_store(place, upkeep=False) as store:
                    print("appended", store.append("a", [Event("Fact", {})]).position)
            case "erase":
                with open_store(place, upkeep=False) as store:
                    print("erased", store.erase(Erasure(streams=["a"]), by="me", why="a test").events)
            case "check":
                print(check_access(place)[0].capability)
    except AccessDeniedError as refused:
        print("refused", refused.action, refused.capability)


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]), sys.argv[3], sys.argv[4])

"""A process that saves and compacts beside others: `python -m tests.store.snapshots.saver PLACE NUMBER`."""

from __future__ import annotations

import sys
from pathlib import Path

from store.observer import LoggingObserver
from store.snapshots.delta_snapshots import DeltaSnapshots
from store.storage.local_objects import LocalObjects
from tests.store.snapshots.states import snap


def main(place: str, number: str) -> None:
    snapshots = DeltaSnapshots(LocalObjects(Path(place)), LoggingObserver(), fresh_s=0.0)
    for version in range(1, 61):
        snapshots.save([snap(version, f"s-{number}", keep=2)])
        if version % 10 == 0:
            snapshots.compact()
            snapshots.checkpoint()
        found = snapshots.newest("Account", f"s-{number}")
        assert [s.version for s in found] == [version, version - 1][: len(found)]


if __name__ == "__main__":
    main(*sys.argv[1:])

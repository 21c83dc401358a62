"""`make bench`: every number beside its floor, measured in the same run, as tables for docs/performance.md."""

from __future__ import annotations

import argparse
import multiprocessing
import os
import shutil
import signal
import sys
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import fields
from pathlib import Path
from typing import Final, NoReturn

from tests.bench import (
    access,
    amplification,
    appends,
    audit,
    buckets,
    deciding,
    erasure,
    growth,
    loading,
    log,
    logs,
    machines,
    opening,
    orchestration,
    privacy,
    projections,
    push,
    questions,
    reads,
    retention,
    scale,
    snapshots,
    sustained,
    writers,
)
from tests.bench.run import Run, Sizes

SECTIONS: Final[dict[str, Callable[[Run], None]]] = {
    "appends": appends.section,
    "audit": audit.section,
    "growth": growth.section,
    "amplification": amplification.section,
    "erasure": erasure.section,
    "writers": writers.section,
    "buckets": buckets.section,
    "machines": machines.section,
    "logs": logs.section,
    "push": push.section,
    "privacy": privacy.section,
    "log": log.section,
    "reads": reads.section,
    "sql": questions.section,
    "access": access.section,
    "opening": opening.section,                    # after the reads: it appends to the streams that they read
    "deciding": deciding.section,
    "loading": loading.section,
    "projections": projections.section,            # before what appends more to it
    "snapshots": snapshots.section,                # after the loads: it appends to the long stream
    "retention": retention.section,
    "scale": scale.section,
    "dagster": orchestration.section,
    "sustained": sustained.section,
}
UNASKED: Final = [name for name in SECTIONS if name != "sustained"]
"""What runs when no section is named."""


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.bench", description=__doc__)
    parser.add_argument("sections", nargs="*", metavar="section", help=f"of {', '.join(SECTIONS)}; all but sustained when none is named")
    # /var/tmp by default: /tmp is often memory, where a flush costs nothing.
    parser.add_argument("--folder", type=Path, default=Path("/var/tmp"), help="on the disk to measure; a folder in it is used and removed")
    for size in fields(Sizes):
        told = f"{size.metadata['told']} (%(default)s)"
        parser.add_argument(f"--{size.name.replace('_', '-')}", type=type(size.default), default=size.default, help=told)
    given = vars(parser.parse_args(arguments))
    sections, folder = given.pop("sections") or UNASKED, given.pop("folder")
    if unknown := [name for name in sections if name not in SECTIONS]:
        parser.error(f"no section {', '.join(unknown)}: choose of {', '.join(SECTIONS)}")
    signal.signal(signal.SIGTERM, _end)
    measure([name for name in SECTIONS if name in sections], folder, Sizes(**given))


def measure(sections: Sequence[str], folder: Path, sizes: Sizes) -> None:
    """Runs these sections in a fresh folder, which is removed whatever happens."""
    root = Path(tempfile.mkdtemp(prefix="alluvium-bench-", dir=folder))
    print(f"{os.cpu_count()} cores, Python {sys.version.split()[0]}, {sizes}")
    try:
        run = Run(root, sizes)
        for name in sections:
            run.section(name, SECTIONS[name])
    finally:
        for child in multiprocessing.active_children():       # of a run that was interrupted: it would write on
            child.kill()
            child.join()
        # Only now: ext4 makes new files slowly for minutes after many were deleted, which would fall on who comes next.
        shutil.rmtree(root)


def _end(*_: object) -> NoReturn:
    sys.exit(143)                                  # as an exception, so that the folder is removed


if __name__ == "__main__":
    main()

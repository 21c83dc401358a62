"""Beginning a table anew where its log cannot be read any more. For tables that can be derived; nothing is destroyed."""

from __future__ import annotations

import re
import time
import uuid
from typing import Final

from store.storage.objects import Objects
from store.tables import checkpoint_file
from store.tables.commit import Change, Commit, encode
from store.tables.layout import Identity, Layout
from store.tables.publishing import log_path
from store.tables.quarantine import new_folder

_NUMBERED: Final = re.compile(r"_delta_log/([0-9]{20})\.").match
_ABSURD: Final = 2**53
"""A log file of such a number is damage itself: no table lives so long, and others count in floating point."""


def restart(objects: Objects, layout: Layout) -> str:
    """Make the table empty by a commit later than all that are there; the folder where the old log lies now.

    The numbers below it stay taken, each by the same commit. So a process that knew the old log, to whatever version, finds the
    new one with its next look, and commits nothing below it, where nobody would ever read it. Of two that restart at once one
    is later, and counts. Data files stay where they are.
    """
    old = [entry.path for entry in objects.list("_delta_log")]
    folder = new_folder()
    for path in old:
        if (body := objects.get(path)) is not None:
            objects.put(f"{folder}/{path}", body)
    numbers = [int(name[1]) for path in old if (name := _NUMBERED(path))]
    version = max((number for number in numbers if number < _ABSURD), default=-1) + 1
    now_ms = time.time_ns() // 1_000_000
    commit = Commit(version, str(uuid.uuid4()), Change(operation="CREATE OR REPLACE TABLE", anew=True), Identity(str(uuid.uuid4()), now_ms))
    assert commit.table is not None
    body = encode(layout, commit, now_ms)
    if objects.put_if_absent(log_path(version), body):
        objects.delete([path for path in old if path == checkpoint_file.HINT])
        checkpoint_file.write(objects, version, [{"protocol": layout.protocol()}, {"metaData": layout.metadata(commit.table)}], 0)
        taken = [log_path(number) for number in sorted({place for n in numbers for place in (n, n + 1)}) if number < version]
        for path in taken:
            objects.replace(path, body)
        objects.delete([path for path in old if path not in {*taken, checkpoint_file.HINT}])
    return folder

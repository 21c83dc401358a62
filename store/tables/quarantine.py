"""Moving files out of the log's way without losing them, by one repair at a time."""

from __future__ import annotations

import time
import uuid
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Final

from store.errors import TableRefusedError
from store.storage.objects import Objects

QUARANTINE: Final = "_quarantine"
"""A folder of the table that readers and writers never look into."""
_CLAIM: Final = f"{QUARANTINE}/claim"


@contextmanager
def claimed(objects: Objects) -> Iterator[None]:
    """Be the only repair. Two at once could move away what a writer put in the place of what the first one moved."""
    mine = uuid.uuid4().hex.encode()
    if not objects.put_if_absent(_CLAIM, mine):
        problem = "another repair is at work, or one was killed"
        raise TableRefusedError(objects.uri, problem, f"wait for it; if none is running, delete {objects.location(_CLAIM)} and repair again")
    try:
        yield
    finally:
        objects.delete([_CLAIM])


def new_folder() -> str:
    """Named by the time, for the person who looks through it one day."""
    return f"{QUARANTINE}/{time.strftime('%Y%m%dT%H%M%SZ', time.gmtime())}-{uuid.uuid4().hex[:8]}"


def move_aside(objects: Objects, paths: Sequence[str], folder: str) -> None:
    """Put these files under their own names into a folder of the quarantine. A copy is durable before its original goes."""
    for path in paths:
        if (body := objects.get(path)) is not None:
            objects.put(f"{folder}/{path}", body)
            objects.delete([path])

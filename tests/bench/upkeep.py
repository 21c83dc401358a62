"""The one place that knows by which verbs a log is kept in shape, and how long what it no longer needs stays."""

from __future__ import annotations

from typing import Any, Final

from store.delta import log_cleanup, upkeep

LOG_AGE_S: Final = 60.0
KEPT_FILES: Final = 2_000


def compact(store: Any) -> None:
    """Everything merged that can be, and a checkpoint after it: the state that bulk reads are measured in."""
    store.compact()
    store.checkpoint()


KEPT: Final = f"log files stay {LOG_AGE_S:g} s and {KEPT_FILES:,} replaced files, in place of 600 s and 20,000, so that the level is reached in time"


def keep_little() -> None:
    """Let the writers of this process, a child, clean up early: so a run of minutes reaches the level that takes an hour by default."""
    log_cleanup.YOUNGEST_S = LOG_AGE_S             # type: ignore[misc]
    upkeep.CLEAN_EVERY_S = LOG_AGE_S / 4           # type: ignore[misc]
    upkeep.KEPT_FILES = KEPT_FILES                 # type: ignore[misc]

"""When upkeep last removed what streams hide, and archived those that are closed: a moment beside the heads files. Without it, a day begins."""

from __future__ import annotations

from typing import Final

from store.delta.head_runs import FOLDER
from store.storage.objects import Objects

PATH: Final = f"{FOLDER}/removed"


def read(objects: Objects) -> float | None:
    """Seconds since 1970; None: it was never done, or that cannot be read."""
    try:
        return float(objects.get(PATH) or "")
    except ValueError:
        return None


def write(objects: Objects, moment_s: float) -> None:
    objects.replace(PATH, b"%.3f" % moment_s)

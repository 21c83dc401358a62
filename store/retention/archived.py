"""What archiving did."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple


class Archived(NamedTuple):
    """`events`: so many moved to the archive, or would. `files_before`: that held them; `files_after`: into which these were parted, by then.

    `data_bytes`: of what moved, in its new files.
    """

    events: int = 0
    files_before: int = 0
    files_after: int = 0
    data_bytes: int = 0


def summed(done: Iterable[Archived]) -> Archived:
    return Archived(*(sum(column) for column in zip(Archived(), *done, strict=True)))

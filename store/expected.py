"""What a caller may expect of a stream's version."""

from __future__ import annotations

from enum import Enum
from typing import Final


class Expected(Enum):
    """The expectations that are no number."""

    ANY = "any"
    STREAM_EXISTS = "stream_exists"


ExpectedVersion = int | Expected
"""Of a stream before an append: exactly this version, or `NO_STREAM`, `STREAM_EXISTS`, `ANY`."""
ANY: Final = Expected.ANY
"""Whatever the version is."""
STREAM_EXISTS: Final = Expected.STREAM_EXISTS
"""Any version from 1 on."""
NO_STREAM: Final = 0
"""The version of a stream without events: it does not exist."""


def holds(expected: ExpectedVersion, version: int) -> bool:
    """Is a stream at `version` what was expected?"""
    match expected:
        case Expected.ANY:
            return True
        case Expected.STREAM_EXISTS:
            return version > 0
        case _:
            return expected == version

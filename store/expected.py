"""What a caller may expect of a stream's version."""

from __future__ import annotations

from enum import Enum
from typing import Final


class Expected(Enum):
    """The expectations that are no number."""

    ANY = "any"
    STREAM_EXISTS = "stream_exists"


ExpectedVersion = int | Expected
ANY: Final = Expected.ANY
STREAM_EXISTS: Final = Expected.STREAM_EXISTS
NO_STREAM: Final = 0


def holds(expected: ExpectedVersion, version: int) -> bool:
    """Is a stream at `version` what was expected?"""
    match expected:
        case Expected.ANY:
            return True
        case Expected.STREAM_EXISTS:
            return version > 0
        case _:
            return expected == version

"""An event that no registered class can hold."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import orjson


@dataclass(frozen=True, slots=True)
class RawEvent:
    """An event of an unknown type, or of a schema version newer than this code. `data` is its JSON as it stands in the log."""

    type: str
    schema_version: int
    data: bytes

    def payload(self) -> Any:
        return orjson.loads(self.data)

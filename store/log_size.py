"""How large a log is."""

from __future__ import annotations

from typing import NamedTuple


class LogSize(NamedTuple):
    """`files`: live ones, of `data_bytes` together. In memory there are none, and the bytes are those of the events there; `delta_version` is -1."""

    events: int
    files: int
    data_bytes: int
    delta_version: int

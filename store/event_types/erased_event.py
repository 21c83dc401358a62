"""An event whose payload was erased."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class ErasedEvent:
    """A husk, as readers of objects meet it, in place of its class's value. `type`: as it is read today, where that can be told without its data."""

    type: str
    erasure_id: str

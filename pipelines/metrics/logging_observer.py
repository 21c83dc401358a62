"""Measurements of the store and of the projections in one log."""

from __future__ import annotations

from projections import Declined, Delayed, Halted, Parked
from store import Circuit, Failed, LoggingObserver, SnapshotIgnored


def logging_observer() -> LoggingObserver:
    """To the logger `alluvium`: what somebody may have to look after as warnings, the rest at debug level."""
    return LoggingObserver(warned=(Circuit, Declined, Delayed, Failed, Halted, Parked, SnapshotIgnored))

"""Snapshots: states of aggregates, saved so that the next load need not fold all events again. Derivable, and never fatal."""

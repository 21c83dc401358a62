"""Erasing: what was never encrypted is taken out of the log, under the same places."""

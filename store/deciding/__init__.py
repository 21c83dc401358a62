"""Deciding on facts: aggregates and boundaries folded from events, and decisions that become events."""

"""Rows by key with their checkpoint: in memory, in Delta tables, and the one of several builds that serves."""

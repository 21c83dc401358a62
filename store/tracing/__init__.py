"""Tracing: a search of every byte of a warehouse, in whatever format it hides."""

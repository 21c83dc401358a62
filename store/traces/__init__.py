"""Traces: a search of every byte of a warehouse, whatever format it hides in."""

"""Rows by key in a Delta table that only we write: changed in one commit together with what their writer has to remember."""

"""The log as a Delta Lake table, written by ourselves: one commit is the creation of one file, if absent."""

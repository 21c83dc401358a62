"""A Delta table of ours: what the event log has in common with the tables that are made from it, and all that those need."""

"""What the warehouse holds as Dagster sees it: the log, the read models, the snapshots."""

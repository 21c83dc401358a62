"""The command line: `alluvium`, for people at a terminal and for programs (`--json`)."""

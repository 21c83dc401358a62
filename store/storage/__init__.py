"""Where tables lie: one port, a directory or an object store behind it."""

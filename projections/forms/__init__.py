"""How a projection turns events into rows: by a select, by frames, by handlers, or field by field."""

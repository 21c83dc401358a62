"""A doubter's look at a log: what is wrong with it, and what may be moved aside."""

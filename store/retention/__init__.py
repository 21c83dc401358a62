"""Retention: what of streams is to be kept, what is hidden, and how streams end."""

"""Handlers with effects, and sagas that undo what they did."""

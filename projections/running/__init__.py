"""The one loop that brings a model up to the log, and what is done around it."""

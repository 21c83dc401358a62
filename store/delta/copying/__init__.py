"""A log copied to another place, for a backup and for the way back."""

"""What was done to the store, and proof that nothing else was: deeds, and links over what the log holds."""

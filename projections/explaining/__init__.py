"""What a row was, what it would be, and where it comes from."""

"""What is held to be true of the warehouse, and looked at again and again."""

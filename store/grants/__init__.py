"""What SQL of others may see: a grant, and a session that has nothing else."""

"""What somebody starts, or a schedule: rebuilding, going back, looking after files, verifying, backing up."""

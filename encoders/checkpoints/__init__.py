"""Foreign checkpoints: read without running what is in them, recognised, and converted."""

"""Training: one recipe a family, and the loop that they share."""

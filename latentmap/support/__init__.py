"""Support sets: a few real images that are far apart in a latent space."""

"""What a generator cannot make: how well it reproduces images, its own and others."""

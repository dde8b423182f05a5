"""Learning from labels: losses, augmentation, the training loop, and the bundle that comes of it."""

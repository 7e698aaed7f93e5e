"""Training objectives: losses, target distributions and C-Mixup."""

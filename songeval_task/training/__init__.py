"""Training of heads on stored features: config, batches, step, loop, checkpoints and logs."""

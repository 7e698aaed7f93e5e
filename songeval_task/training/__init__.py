"""Training of heads on stored features: configuration, batches, step, loop, state and logs."""

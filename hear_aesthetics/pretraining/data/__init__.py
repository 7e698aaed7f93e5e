"""Training audio: rendered or decoded once, then cropped and augmented from disk."""

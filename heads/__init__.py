"""Heads that turn ``(batch, frames, dim)`` features and a ``padding_mask`` into scores."""

"""Decoding of what strangers upload, in worker processes with limits on memory and time."""

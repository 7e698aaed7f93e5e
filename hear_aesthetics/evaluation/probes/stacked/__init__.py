"""Many probes of one shape trained at once."""

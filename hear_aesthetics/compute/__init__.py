"""Arithmetic that depends on the processor, and the one place that knows it."""

"""Benchmarks of scoring songs."""

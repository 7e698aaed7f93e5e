"""Benchmarks of what is said about the uncertainty of scores."""

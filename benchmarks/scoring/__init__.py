"""Benchmarks of scoring: the service, and several judges at once."""

"""Harness and inputs that several benchmarks share."""

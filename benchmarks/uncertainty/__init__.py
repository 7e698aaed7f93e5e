"""Benchmarks of uncertainty: intervals, probabilities, chosen takes."""

"""Adapters of scorers to other benchmarks; none imports the benchmark it serves."""

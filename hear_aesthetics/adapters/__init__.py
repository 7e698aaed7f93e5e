"""Adapters of models to other benchmarks; none imports the benchmark it serves."""

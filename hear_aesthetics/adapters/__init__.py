"""Adapters to other benchmarks: one module each, importable without the benchmark."""

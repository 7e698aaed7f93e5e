"""Benchmarks: one file per question, each ours against a reference, with the numeric difference."""

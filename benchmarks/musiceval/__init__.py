"""Benchmarks of MusicEval training."""

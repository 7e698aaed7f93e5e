"""Benchmarks of pretrained encoders; all but ``songeval`` need a run or HEAR task folders."""

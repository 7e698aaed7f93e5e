"""Probes: shallow networks trained on frozen embeddings."""

"""Frozen states of clips and prompts."""

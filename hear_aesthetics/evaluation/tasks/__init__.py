"""HEAR tasks: their folders, their audio, and the scores of their predictions."""

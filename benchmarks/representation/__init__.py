"""Evaluation of encoders on recorded sounds, against other projects' models."""

"""Frozen encoders of music: MuQ and MusicFM."""

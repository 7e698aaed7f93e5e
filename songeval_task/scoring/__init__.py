"""Scoring: clips to rows on disk, with windows, journal, formats and plots."""

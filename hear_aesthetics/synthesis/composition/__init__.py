"""Composition: notes, form and mix settings of a seeded song with known qualities."""

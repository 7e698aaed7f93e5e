"""Uncertainty of scores: conformal intervals, novelty, probabilities, and chosen takes."""

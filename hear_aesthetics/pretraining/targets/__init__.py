"""Codes that the encoders predict, and the quantizers that make them."""

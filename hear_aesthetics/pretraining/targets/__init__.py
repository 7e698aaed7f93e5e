"""Target codes, and the quantizers that make them."""

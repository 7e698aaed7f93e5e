"""Hidden states to the fused feature, and the fused feature to an embedding."""

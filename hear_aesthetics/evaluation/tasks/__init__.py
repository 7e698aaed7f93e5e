"""HEAR tasks: what one is, and how its predictions are scored."""

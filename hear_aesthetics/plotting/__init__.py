"""Pictures: the look that all have in common, and the picture of a song."""

"""Pictures: their common style, and the picture of a song."""
